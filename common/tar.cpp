#include "common/tar.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace ledgerline {

namespace {

constexpr size_t kBlock = 512;
constexpr size_t kNameMax = 99;

//   header := name[100] mode[8] uid[8] gid[8] size[12] mtime[12] checksum[8] type[1] linkname[100]
//             magic[6] version[2] uname[32] gname[32] dev[16] prefix[155] zeros[12]
//   Numbers are octal text with a zero byte behind. The checksum is the sum of all bytes, its own
//   field counted as spaces.
constexpr size_t kMode = 100, kUid = 108, kGid = 116, kSize = 124, kTime = 136, kChecksum = 148;
constexpr size_t kType = 156, kMagic = 257, kUser = 265, kGroup = 297;

using Header = std::array<char, kBlock>;

void put_text(Header& header, size_t at, std::string_view text) {
  std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
}

void put_octal(Header& header, size_t at, size_t digits, uint64_t value) {
  for (size_t i = digits; i-- > 0; value >>= 3)
    header[at + i] = static_cast<char>('0' + (value & 7));
}

Header header_of(const TarFile& file, uint64_t at_unix_s) {
  Header header{};
  put_text(header, 0, file.name);
  put_octal(header, kMode, 7, 0600);
  put_octal(header, kUid, 7, 0);
  put_octal(header, kGid, 7, 0);
  put_octal(header, kSize, 11, file.content.size());
  put_octal(header, kTime, 11, at_unix_s);
  header[kType] = '0';
  put_text(header, kMagic,
           std::string_view("ustar\0"
                            "00",
                            8));
  put_text(header, kUser, "root");
  put_text(header, kGroup, "root");
  put_text(header, kChecksum, "        ");
  const auto sum =
      std::accumulate(header.begin(), header.end(), uint64_t{0},
                      [](uint64_t all, char c) { return all + static_cast<unsigned char>(c); });
  put_octal(header, kChecksum, 6, sum);
  header[kChecksum + 6] = '\0';
  return header;
}

}  // namespace

Result<std::string> tar_archive(std::span<const TarFile> files, Timestamp at) {
  const auto at_unix_s = static_cast<uint64_t>(std::max<int64_t>(0, at.unix_ms() / 1000));
  std::string out;
  for (const TarFile& file : files) {
    if (file.name.empty() || file.name.size() > kNameMax) {
      return fail(
          Error(Errc::reject, "a name in an archive has 1 to 99 bytes").with("name", file.name));
    }
    const Header header = header_of(file, at_unix_s);
    out.append(header.data(), header.size());
    out += file.content;
    out.append((kBlock - file.content.size() % kBlock) % kBlock, '\0');
  }
  out.append(2 * kBlock, '\0');
  return out;
}

}  // namespace ledgerline
