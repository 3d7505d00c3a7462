// record_fuzz.cc: any bytes as a record of the journal: refused, or a record that is written back to the same bytes.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <optional>
#include <string>

#include "fs/journal/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using plyfs::DecodeRecord;
  const auto* bytes = reinterpret_cast<const char*>(data);
  DecodeRecord({bytes, size});
  if (size < 8) return 0;
  // A checksum is never met by chance: what is behind it is reached with a record that is made from the bytes.
  plyfs::FieldReader reader({bytes, size});
  plyfs::Record record;
  record.type = static_cast<plyfs::RecordType>(1 + reader.U8() % 10);
  record.sequence = reader.U64();
  record.inode = reader.U64();
  record.value = reader.U64();
  record.name = {.dir = reader.U64(), .text = "n" + reader.Text().substr(0, 254)};
  record.old_name = {.dir = reader.U64(), .text = reader.Text()};
  record.from = reader.Rest();
  std::string encoded;
  EncodeRecord(record, &encoded);
  const std::optional<plyfs::DecodedRecord> decoded = DecodeRecord(encoded);
  if (!decoded || decoded->size != encoded.size()) abort();
  std::string again;
  EncodeRecord(decoded->record, &again);
  if (again != encoded) abort();
  return 0;
}
