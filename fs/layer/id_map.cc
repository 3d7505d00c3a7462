// id_map.cc: see id_map.h.
#include "fs/layer/id_map.h"

#include <charconv>

namespace plyfs {
namespace {

bool Overlap(uint32_t a, uint32_t a_length, uint32_t b, uint32_t b_length) {
  return uint64_t{a} < uint64_t{b} + b_length && uint64_t{b} < uint64_t{a} + a_length;
}

bool AnyOverlap(const std::vector<IdRange>& ranges) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    for (size_t j = i + 1; j < ranges.size(); ++j) {
      const IdRange& a = ranges[i];
      const IdRange& b = ranges[j];
      if (Overlap(a.on_disk, a.length, b.on_disk, b.length) || Overlap(a.shown, a.length, b.shown, b.length)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::optional<IdRanges> IdRanges::Parse(std::string_view text) {
  std::vector<uint32_t> numbers;
  while (!text.empty()) {
    const size_t colon = text.find(':');
    const std::string_view segment = text.substr(0, colon);
    text = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    if (segment.empty() && numbers.empty()) continue;
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(segment.data(), segment.data() + segment.size(), number);
    if (error != std::errc() || end != segment.data() + segment.size()) return std::nullopt;
    numbers.push_back(number);
  }
  if (numbers.empty() || numbers.size() % 3 != 0) return std::nullopt;

  std::vector<IdRange> ranges;
  for (size_t i = 0; i < numbers.size(); i += 3) {
    const IdRange range{.on_disk = numbers[i], .shown = numbers[i + 1], .length = numbers[i + 2]};
    const uint64_t end = uint64_t{1} << 32;
    if (range.length == 0 || uint64_t{range.on_disk} + range.length > end ||
        uint64_t{range.shown} + range.length > end) {
      return std::nullopt;
    }
    ranges.push_back(range);
  }
  if (AnyOverlap(ranges)) return std::nullopt;
  return IdRanges(std::move(ranges));
}

uint32_t IdRanges::ToShown(uint32_t on_disk) const {
  if (ranges_.empty()) return on_disk;
  for (const IdRange& range : ranges_) {
    if (on_disk >= range.on_disk && on_disk - range.on_disk < range.length) {
      return range.shown + (on_disk - range.on_disk);
    }
  }
  return kOverflowId;
}

std::optional<uint32_t> IdRanges::ToDisk(uint32_t shown) const {
  if (ranges_.empty()) return shown;
  for (const IdRange& range : ranges_) {
    if (shown >= range.shown && shown - range.shown < range.length) return range.on_disk + (shown - range.shown);
  }
  return std::nullopt;
}

}  // namespace plyfs
