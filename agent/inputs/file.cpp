#include "agent/inputs/file.h"

#include <algorithm>

#include "agent/inputs/boot_id.h"
#include "agent/inputs/followed_file.h"
#include "agent/inputs/input_metrics.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kFilesMax = 64;

class FileInput final : public Input {
 public:
  explicit FileInput(std::vector<FileOptions> options) : options_(std::move(options)) {}

  Status start(const InputContext& context) override {
    const auto boot = read_boot_id("/proc");
    if (!boot)
      io::log_warn("input_file_boot_unknown",
                   {io::kv("error", boot.error()),
                    io::kv("effect", "lines may count twice where a power cut took their end")});
    for (FileOptions& each : options_) {
      each.boot_id = boot.value_or("");
      auto opened = FollowedFile::open(each, context);
      if (!opened) return fail(Error(opened.error()).with("file", each.path));
      files_.push_back(std::move(*opened));
    }
    for (const auto& file : files_) {
      file->start();
      io::log_info("input_file_follows", {io::kv("file", file->path())});
    }
    return {};
  }

  void stop() override {
    for (const auto& file : files_) file->stop();
  }

  void append_metrics(std::string& out) const override {
    metric(out, "lines_total", "counter", [](auto& file) { return file.counters().lines; });
    metric(out, "bad_lines_total", "counter", [](auto& file) { return file.counters().bad_lines; });
    metric(out, "readings_total", "counter", [](auto& file) { return file.counters().readings; });
    metric(out, "truncations_total", "counter",
           [](auto& file) { return file.counters().truncations; });
    metric(out, "cut_tails_total", "counter", [](auto& file) { return file.counters().cut_tails; });
    // Nobody knows how many bytes a file had that is gone.
    metric(out, "lost_bytes_unknown_total", "counter",
           [](auto& file) { return file.counters().lost_files; });
    metric(out, "pushed_back_total", "counter", [](auto& file) { return file.pushed_back(); });
    metric(out, "unread_bytes", "gauge", [](auto& file) { return file.unread_bytes(); });
    metric(out, "failing", "gauge", [](auto& file) { return file.failing() ? 1U : 0U; });
  }

  [[nodiscard]] Json status() const override {
    Json out = Json::array();
    for (const auto& file : files_) out.push(file->status());
    return out;
  }

 private:
  template <class Value>
  void metric(std::string& out, const std::string& name, const char* type, Value value) const {
    LabelledLines lines(out, "file", name, type);
    for (const auto& file : files_) lines.add("file", file->path(), value(*file));
  }

  std::vector<FileOptions> options_;
  std::vector<std::unique_ptr<FollowedFile>> files_;
};

}  // namespace

Result<std::unique_ptr<Input>> prepare_file_input(InputOptions options) {
  std::vector<FileOptions> files;
  for (TomlTable& table : options.tables) {
    TRY(FileOptions file,
        read_file_options(table, options.folder, options.app_meters, options.diagnostic_meters));
    const bool twice = std::any_of(files.begin(), files.end(),
                                   [&](const FileOptions& each) { return each.path == file.path; });
    if (twice) return fail(table.error_at("path", "this file is followed already"));
    if (files.size() == kFilesMax)
      return fail(table.error_at("path", "at most " + std::to_string(kFilesMax) + " files"));
    files.push_back(std::move(file));
  }
  return std::make_unique<FileInput>(std::move(files));
}

}  // namespace ledgerline::agent
