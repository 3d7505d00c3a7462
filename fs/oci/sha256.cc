// sha256.cc: see sha256.h.
#include "fs/oci/sha256.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"

namespace plyfs {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  ok_ = context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
}

void Sha256::Add(std::span<const char> bytes) {
  ok_ = ok_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

std::string Sha256::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  ok_ = ok_ && EVP_DigestFinal_ex(context_.get(), digest, &length) == 1;
  if (!ok_) return "";
  return "sha256:" + absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), length));
}

}  // namespace plyfs
