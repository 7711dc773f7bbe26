#pragma once
// One followed file: performs what agent/core/file_follow decides, on the io thread and in steps of
// one read, so that other inputs are answered in between.
//
// Its place is committed with the readings of the lines before it. One request is under way at a
// time, so places are committed in order and a refused line can be taken out; the next request is
// read meanwhile.

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <optional>
#include <string>

#include "agent/core/file_follow.h"
#include "agent/core/line_chunk.h"
#include "agent/inputs/file_handle.h"
#include "agent/inputs/file_options.h"

namespace ledgerline::agent {

class FollowedFile {
 public:
  static constexpr size_t kReadMax = 512 * 1024;

  /// Where there is no bookmark, the file is read from its beginning. Errc::corrupt for a bookmark
  /// that no version of ours wrote.
  static Result<std::unique_ptr<FollowedFile>> open(const FileOptions& options,
                                                    const InputContext& context);

  /// Reads on, then polls.
  void start();
  void stop();

  [[nodiscard]] const std::string& path() const { return path_; }
  /// As committed.
  [[nodiscard]] const FileCounters& counters() const { return committed_.counters; }
  [[nodiscard]] uint64_t pushed_back() const { return pushed_back_; }
  [[nodiscard]] bool failing() const { return !failure_.empty(); }
  [[nodiscard]] uint64_t unread_bytes() const;
  [[nodiscard]] Json status() const;

 private:
  struct Behind {  // since the file was last read to its end
    Monotonic since;
    uint64_t lines = 0;
    uint64_t bytes = 0;
    /// What the file at the path had when it was read first: all there was at that time.
    std::optional<FileFacts> target;
  };

  FollowedFile(const FileOptions& options, const InputContext& context);

  Status resume(ByteView bookmark);
  Status go_on_in_known_file();
  /// After a power cut; false where the file is not there or not the same.
  Result<bool> go_on_in_cut_file(const StoredPlace& stored, uint64_t inode);
  void note_first_start();
  void poll();
  void work();
  void work_soon();
  Result<FollowView> look();
  Result<bool> same_content() const;
  Status perform(FollowStep step, const FollowView& view);
  Status read_chunk(const FollowView& view, AtEnd at_end);
  Status begin_again(FollowView view);
  enum class Left { read, cut };
  /// What was rotated next after the file that was left, or what is at the path.
  Status open_next(const FollowView& view, Left left = Left::read);
  void begin(FileHandle handle, const FileFacts& facts);
  /// The file that had `ends` before `place`, wherever it is now.
  Result<std::optional<FileHandle>> find(const FilePlace& place, const Digest& fingerprint) const;
  void queue(LineChunk chunk);
  void send();
  void submit();
  void answered(const RecordResult& result);
  void refused(const RecordRefusal& why);
  void try_later(const RecordRefusal& why);
  void note_bad(const BadLine& bad);
  void fall_behind();
  void caught_up();
  /// A file that always grows is never read to its end; what it had at first is.
  void note_target_reached();
  void update_hold();
  void lost(uint64_t files, const std::string& why);
  void note_failure(const Error& error);
  void log_progress();

  const std::string path_;
  const std::string name_;  // of the bookmark
  const Duration poll_;
  const bool trust_time_;
  const std::string boot_id_;
  const StreamClass stream_class_;
  InputContext context_;
  LineMapper mapper_;
  FileFollow follow_;
  boost::asio::steady_timer poll_timer_;
  boost::asio::steady_timer retry_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::optional<FileHandle> handle_;
  FileFacts seen_;             // of the held file, when it was looked at last
  bool seen_settled_ = false;  // so long after its last change that another one shows in its time
  uint64_t seen_size_ = 0;     // when no whole line was left
  FilePlace ahead_;            // behind what was read
  FilePlace committed_;
  std::optional<LineChunk> in_flight_;
  std::optional<LineChunk> prepared_;
  std::optional<Timestamp> newest_;  // told by the chunk committed last, now at most
  bool was_caught_up_ = false;
  std::optional<Behind> behind_;

  std::deque<BadLine> bad_;
  uint64_t unlogged_bad_ = 0;
  std::optional<Monotonic> bad_logged_;
  std::optional<Monotonic> progress_logged_;
  uint64_t pushed_back_ = 0;
  std::string failure_;
  std::string waiting_for_;  // why the recorder does not take more
  bool polled_ = false;      // work() was called by the timer
  bool stopped_ = false;
};

}  // namespace ledgerline::agent
