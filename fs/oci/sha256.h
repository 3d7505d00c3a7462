// sha256.h: the digest of bytes as they go by.
// Thread safety: one owner.
#pragma once

#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace plyfs {

class Sha256 {
 public:
  Sha256();
  void Add(std::span<const char> bytes);
  // "sha256:HEX" of all that was added, or "" if OpenSSL refused (no memory, a provider without SHA-256). Ends it.
  std::string Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  const std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool ok_;
};

}  // namespace plyfs
