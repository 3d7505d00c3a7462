// c_locale.h: the calling thread uses the "C" locale while one of these lives.
// libarchive converts names to the thread's locale: with UTF-8 it would compose characters that are decomposed in the tar. In the
// "C" locale it hands the bytes through.
// Thread safety: changes only the calling thread.
#pragma once

#include <locale.h>

namespace plyfs {

class CLocale {
 public:
  CLocale() : locale_(::newlocale(LC_ALL_MASK, "C", nullptr)), before_(::uselocale(locale_)) {}
  ~CLocale() {
    ::uselocale(before_);
    if (locale_ != nullptr) ::freelocale(locale_);
  }
  CLocale(const CLocale&) = delete;
  CLocale& operator=(const CLocale&) = delete;

 private:
  const locale_t locale_;
  const locale_t before_;
};

}  // namespace plyfs
