#include "agent/inputs/followed_file.h"

#include <filesystem>

#include "agent/inputs/cut_tail.h"
#include "common/check.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

constexpr Duration kRetryQueue{100};
constexpr Duration kRetrySpace{5'000};
constexpr Duration kBadLogged{10'000};
constexpr Duration kProgressLogged{10'000};
/// Writes within one tick of the kernel's clock leave a file the same time; a tick is 10 ms at
/// most.
constexpr int64_t kFileClockTickNs = 20'000'000;
constexpr uint64_t kProgressBytes = 16 << 20;

Json number(uint64_t value) { return Json::number(std::to_string(value)); }

}  // namespace

FollowedFile::FollowedFile(const FileOptions& options, const InputContext& context)
    : path_(options.path),
      name_("file:" + options.path),
      poll_(options.poll),
      trust_time_(options.rules.trust_time),
      boot_id_(options.boot_id),
      stream_class_(options.stream_class),
      context_(context),
      mapper_(options.rules, context.app_meters),
      poll_timer_(context.runtime.context()),
      retry_timer_(context.runtime.context()) {}

namespace {

/// In the journal of its meters' class; where their class was changed, in the other one.
const Bytes* bookmark_of(const std::string& name, StreamClass stream_class,
                         const InputContext& context) {
  const bool billing = stream_class == StreamClass::billing;
  const auto& own = billing ? context.bookmarks : context.diagnostic_bookmarks;
  const auto& other = billing ? context.diagnostic_bookmarks : context.bookmarks;
  for (const auto* bookmarks : {&own, &other}) {
    const auto found = bookmarks->find(name);
    if (found != bookmarks->end()) return &found->second;
  }
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<FollowedFile>> FollowedFile::open(const FileOptions& options,
                                                         const InputContext& context) {
  std::unique_ptr<FollowedFile> out(new FollowedFile(options, context));
  if (const Bytes* bookmark = bookmark_of(out->name_, options.stream_class, context)) {
    TRY_VOID(out->resume(*bookmark));
  } else {
    out->note_first_start();
  }
  // Nothing older may be promised complete before the first look at the file.
  out->fall_behind();
  return out;
}

/// A file that is rotated from now on is ours to read, also where it was never seen at the path.
void FollowedFile::note_first_start() {
  LineChunk mark;
  ahead_.modified_ns = context_.clock.now().unix_ms() * 1'000'000;
  ahead_.boot = boot_id_;
  mark.after = ahead_;
  queue(std::move(mark));
}

Status FollowedFile::resume(ByteView bookmark) {
  TRY(const StoredPlace stored, decode_place(bookmark));
  ahead_ = stored.place;
  ahead_.boot = boot_id_;
  TRY(handle_, find(ahead_, stored.fingerprint));
  if (handle_) return go_on_in_known_file();
  committed_ = stored.place;
  TRY(const auto now, facts_at(path_));
  // Only a boot in between makes it likely that the end was lost and not rewritten.
  const std::string& before = stored.place.boot;
  if (now && !before.empty() && !boot_id_.empty() && before != boot_id_) {
    TRY(const bool cut, go_on_in_cut_file(stored, now->id.inode));
    if (cut) return {};
  }
  if (ahead_.offset > 0) lost(1, "the file that was being read is not there any more");
  const FollowView view{.at_path = now, .held = {}};
  const auto opened = now && now->id.inode == ahead_.inode ? begin_again(view) : open_next(view);
  if (!opened && opened.error().code() == Errc::retry) return {};  // the first poll opens it
  return opened;
}

Status FollowedFile::go_on_in_known_file() {
  TRY(seen_, handle_->facts());
  TRY(ahead_.ends, handle_->ends(ahead_.offset));
  ahead_.inode = seen_.id.inode;
  if (ahead_.offset > 0 && mapper_.parser().needs_header()) {
    // A header without the columns wanted makes every line a bad one, as before the restart.
    static_cast<void>(mapper_.parser().read_header(ahead_.header));
  }
  committed_ = ahead_;
  return {};
}

Result<bool> FollowedFile::go_on_in_cut_file(const StoredPlace& stored, uint64_t inode) {
  if (inode != stored.place.inode) return false;
  auto file = FileHandle::open(path_);
  if (!file) return fail(Error(file.error()).with("file", path_));
  TRY(const auto end, end_of_what_is_left(*file, stored));
  if (!end) return false;
  TRY(FileEnds ends, file->ends(*end));
  ++ahead_.counters.cut_tails;
  io::log_warn("input_file_end_lost",
               {io::kv("file", path_), io::kv("read_up_to", ahead_.offset),
                io::kv("goes_on_at", *end), io::kv("why", "the machine went down in between")});
  ahead_.go_back(*end, std::move(ends));
  handle_ = std::move(*file);
  TRY_VOID(go_on_in_known_file());
  LineChunk mark;  // the next start finds the file as it is now
  mark.after = ahead_;
  queue(std::move(mark));
  return true;
}

void FollowedFile::start() { poll(); }

void FollowedFile::stop() {
  stopped_ = true;
  alive_.reset();
  poll_timer_.cancel();
  retry_timer_.cancel();
}

void FollowedFile::poll() {
  polled_ = true;
  work();
  polled_ = false;
  log_progress();
  poll_timer_.expires_after(poll_);
  poll_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopped_) poll();
  });
}

void FollowedFile::work_soon() {
  boost::asio::post(context_.runtime.context(), [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) work();
  });
}

void FollowedFile::work() {
  if (stopped_ || prepared_) return;
  const auto view = look();
  const auto done = view ? perform(follow_.next(*view), *view) : fail(view.error());
  if (!done) return note_failure(done.error());
  failure_.clear();
}

Result<FollowView> FollowedFile::look() {
  FollowView view{.offset = ahead_.offset, .seen_size = seen_size_, .polled = polled_};
  TRY(view.at_path, facts_at(path_));
  if (!handle_) return view;
  TRY(const FileFacts facts, handle_->facts());
  view.held = facts;
  const bool changed = facts.size != seen_.size || facts.modified_ns != seen_.modified_ns;
  if (!changed && seen_settled_) return view;
  TRY(view.same_content, same_content());
  if (view.same_content && facts.size >= ahead_.offset) {  // a cut stays a change until acted on
    seen_ = facts;
    const int64_t now_ns = context_.clock.now().unix_ms() * 1'000'000;
    seen_settled_ = now_ns - facts.modified_ns > kFileClockTickNs;
  }
  return view;
}

Result<bool> FollowedFile::same_content() const {
  TRY(const FileEnds ends, handle_->ends(ahead_.offset));
  return ends == ahead_.ends;
}

Status FollowedFile::perform(FollowStep step, const FollowView& view) {
  switch (step) {
    case FollowStep::wait:
      if (!in_flight_) caught_up();
      return {};
    case FollowStep::open:
      return open_next(view);
    case FollowStep::read:
      return read_chunk(view, AtEnd::waits);
    case FollowStep::again:
      return begin_again(view);
    case FollowStep::next_file:
      if (view.held->size > ahead_.offset) return read_chunk(view, AtEnd::final);
      return open_next(view);
  }
  return {};
}

void FollowedFile::begin(FileHandle handle, const FileFacts& facts) {
  handle_ = std::move(handle);
  ahead_.begin(facts.id.inode);
  seen_ = facts;
  seen_settled_ = false;
  seen_size_ = 0;
  fall_behind();
}

Status FollowedFile::read_chunk(const FollowView& view, AtEnd at_end) {
  TRY(const std::string bytes, handle_->read(ahead_.offset, kReadMax));
  // Asked behind the read: bytes of a file that was cut meanwhile are not taken.
  TRY(const bool same, same_content());
  if (!same) return begin_again(view);
  fall_behind();
  if (!behind_->target && view.at_path && view.at_path->id == view.held->id)
    behind_->target = view.held;
  LineChunk chunk = take_lines(ahead_, bytes, at_end, mapper_, context_.clock.monotonic());
  if (chunk.after.offset == ahead_.offset) {
    seen_size_ = ahead_.offset + bytes.size();
    return {};
  }
  chunk.after.modified_ns = view.held->modified_ns;
  for (const BadLine& bad : chunk.bad) note_bad(bad);
  unlogged_bad_ += chunk.after.counters.bad_lines - ahead_.counters.bad_lines;
  ahead_ = chunk.after;
  queue(std::move(chunk));
  work_soon();
  return {};
}

/// The file was cut. What was in it may have been copied before, and then the rest is read there.
Status FollowedFile::begin_again(FollowView view) {
  TRY(auto copy, find(ahead_, ahead_.ends.fingerprint()));
  ++ahead_.counters.truncations;
  if (behind_) behind_->target.reset();
  io::log_warn("input_file_truncated", {io::kv("file", path_), io::kv("read_up_to", ahead_.offset),
                                        io::kv("copy", copy ? "found" : "not found")});
  if (copy) {
    TRY(seen_, copy->facts());
    seen_settled_ = false;
    handle_ = std::move(*copy);
    ahead_.inode = seen_.id.inode;
    seen_size_ = 0;
    work_soon();
    return {};
  }
  handle_.reset();  // counted once, also where the next file cannot be opened yet
  view.held.reset();
  return open_next(view, Left::cut);
}

Status FollowedFile::open_next(const FollowView& view, Left left) {
  const std::string base = std::filesystem::path(path_).filename().string();
  const FileFacts facts = view.held.value_or(FileFacts{.modified_ns = ahead_.modified_ns});
  const RotatedFile read{.name = base, .facts = facts, .head = ahead_.ends.head};
  const NextRotated next = next_rotated(base, files_beside(path_), read);
  const auto folder = std::filesystem::path(path_).parent_path();
  // Nothing is given up before the next file is held.
  TRY(auto opened, next.file ? open_seen((folder / next.file->name).string(), next.file->facts)
                             : open_seen(path_, view.at_path));
  // The first one behind a cut is most likely the copy of what was read, and counts as cut.
  const uint64_t copies = left == Left::cut ? 1 : 0;
  if (next.compressed > copies) lost(next.compressed - copies, "compressed before it was read");
  handle_.reset();
  ahead_.begin(0);
  ahead_.modified_ns = facts.modified_ns;
  if (opened) {
    TRY(const FileFacts found, opened->facts());
    begin(std::move(*opened), found);
  }
  io::log_info("input_file_next",
               {io::kv("file", path_), io::kv("now", next.file ? next.file->name : base)});
  if (handle_) {
    LineChunk mark;  // the former file is done with: its absence later is no loss
    mark.after = ahead_;
    queue(std::move(mark));
    work_soon();
  }
  return {};
}

Result<std::optional<FileHandle>> FollowedFile::find(const FilePlace& place,
                                                     const Digest& fingerprint) const {
  const std::filesystem::path own(path_);
  const std::string base = own.filename().string();
  std::vector<std::string> candidates = {path_};
  for (const RotatedFile& file : files_beside(path_)) {
    const bool copy = place.offset > 0 && rotated_name(base, file.name) == RotatedName::plain;
    if (file.facts.id.inode == place.inode || copy)
      candidates.push_back((own.parent_path() / file.name).string());
  }
  for (const std::string& candidate : candidates) {
    auto opened = FileHandle::open(candidate);
    if (!opened && (opened.error().code() == Errc::not_found || candidate != path_)) continue;
    if (!opened) return fail(Error(opened.error()).with("file", candidate));
    TRY(const FileFacts facts, opened->facts());
    if (facts.size < place.offset || (place.offset == 0 && facts.id.inode != place.inode)) continue;
    TRY(const FileEnds ends, opened->ends(place.offset));
    if (ends.fingerprint() == fingerprint) return std::optional<FileHandle>(std::move(*opened));
  }
  return std::optional<FileHandle>();
}

void FollowedFile::queue(LineChunk chunk) {
  CHECK_INVARIANT(!prepared_);
  prepared_ = std::move(chunk);
  send();
}

void FollowedFile::send() {
  if (in_flight_ || !prepared_ || stopped_) return;
  in_flight_ = std::move(prepared_);
  prepared_.reset();
  submit();
}

void FollowedFile::submit() {
  // The items are copied: refused ones are asked for again.
  context_.recorder.record({.items = in_flight_->items,
                            .request_key = "",
                            .can_wait = true,
                            .bookmark = Bookmark{.name = name_,
                                                 .value = encode(in_flight_->after),
                                                 .stream_class = stream_class_}},
                           [this, alive = std::weak_ptr<bool>(alive_)](const RecordResult& result) {
                             if (!alive.expired()) answered(result);
                           });
}

void FollowedFile::answered(const RecordResult& result) {
  if (!result) return refused(result.error());
  waiting_for_.clear();
  // Not the newest ever: one line with a wrong time would end the hold for good.
  if (in_flight_->newest) newest_ = std::min(*in_flight_->newest, context_.clock.now());
  committed_ = std::move(in_flight_->after);
  in_flight_.reset();
  note_target_reached();
  update_hold();
  send();
  work();
}

void FollowedFile::refused(const RecordRefusal& why) {
  const bool of_a_line =
      why.code == Errc::reject && why.index < in_flight_->items.size() && why.field != "request";
  if (!of_a_line) return try_later(why);
  const FileCounters before = in_flight_->after.counters;
  note_bad(drop_line(*in_flight_, why.index, why.field + ": " + why.message));
  ++unlogged_bad_;
  const uint64_t dropped = before.readings - in_flight_->after.counters.readings;
  for (FilePlace* later : {prepared_ ? &prepared_->after : nullptr, &ahead_}) {
    if (later == nullptr) continue;
    ++later->counters.bad_lines;
    later->counters.readings -= dropped;
  }
  submit();
}

void FollowedFile::try_later(const RecordRefusal& why) {
  ++pushed_back_;
  if (waiting_for_ != why.message)
    io::log_warn("input_file_waits", {io::kv("file", path_), io::kv("why", why.message)});
  waiting_for_ = why.message;
  retry_timer_.expires_after(why.code == Errc::retry ? kRetryQueue : kRetrySpace);
  retry_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopped_) submit();
  });
}

void FollowedFile::note_bad(const BadLine& bad) {
  if (bad_.size() == LineChunk::kBadMax) bad_.pop_front();
  bad_.push_back(bad);
  const Monotonic now = context_.clock.monotonic();
  if (bad_logged_ && now - *bad_logged_ < kBadLogged) return;
  bad_logged_ = now;
  io::log_warn("input_file_bad_line",
               {io::kv("file", path_), io::kv("offset", bad.offset), io::kv("reason", bad.reason),
                io::kv("line", bad.text), io::kv("others_since_the_last", unlogged_bad_)});
  unlogged_bad_ = 0;
}

void FollowedFile::fall_behind() {
  if (behind_) return;
  behind_ = {
      .since = context_.clock.monotonic(), .lines = ahead_.counters.lines, .bytes = ahead_.offset};
  update_hold();
}

void FollowedFile::caught_up() {
  was_caught_up_ = true;
  behind_.reset();
  progress_logged_.reset();
  context_.holds.release(name_, stream_class_);
}

void FollowedFile::note_target_reached() {
  if (!behind_ || !behind_->target) return;
  const FileFacts& target = *behind_->target;
  if (committed_.inode == target.id.inode && committed_.offset >= target.size)
    was_caught_up_ = true;
}

/// While the file is behind, lines as old as the newest one read may follow. The first time through
/// it nobody knows how old.
void FollowedFile::update_hold() {
  if (!trust_time_) return;
  context_.holds.hold(name_, was_caught_up_ ? newest_.value_or(Timestamp()) : Timestamp(),
                      stream_class_);
}

void FollowedFile::lost(uint64_t files, const std::string& why) {
  ahead_.counters.lost_files += files;
  io::log_error("input_file_lost",
                {io::kv("file", path_), io::kv("files", files), io::kv("why", why),
                 io::kv("action", "lines after the last one read of them are not metered")});
}

void FollowedFile::note_failure(const Error& error) {
  const std::string text = error.text();
  if (failure_ != text)
    io::log_error("input_file_failed", {io::kv("file", path_), io::kv("error", text)});
  failure_ = text;
  if (!behind_) update_hold();  // nobody knows what cannot be read
}

void FollowedFile::log_progress() {
  if (!behind_ || unread_bytes() < kProgressBytes) return;
  const Monotonic now = context_.clock.monotonic();
  const Monotonic last = progress_logged_.value_or(behind_->since);
  if (now - last < kProgressLogged) return;
  progress_logged_ = now;
  io::log_info("input_file_behind", {io::kv("file", path_), io::kv("offset", committed_.offset),
                                     io::kv("unread_bytes", unread_bytes()),
                                     io::kv("lines", committed_.counters.lines)});
}

uint64_t FollowedFile::unread_bytes() const {
  return handle_ && seen_.size > committed_.offset ? seen_.size - committed_.offset : 0;
}

Json FollowedFile::status() const {
  const char* state = !failure_.empty()       ? "failing"
                      : !waiting_for_.empty() ? "waiting for the journal"
                      : behind_               ? "catching up"
                      : handle_               ? "following"
                                              : "waiting for the file";
  const FileCounters& counters = committed_.counters;
  uint64_t lines_per_s = 0;
  Json seconds_left = Json::null();
  if (behind_) {
    const auto ms = static_cast<uint64_t>(
        std::max<int64_t>((context_.clock.monotonic() - behind_->since).count(), 1));
    lines_per_s = (counters.lines - std::min(counters.lines, behind_->lines)) * 1000 / ms;
    const uint64_t bytes = committed_.offset - std::min(committed_.offset, behind_->bytes);
    if (bytes > 0) seconds_left = number(unread_bytes() * ms / bytes / 1000);
  }
  Json bad = Json::array();
  for (const BadLine& each : bad_) {
    bad.push(Json::object({{"offset", number(each.offset)},
                           {"reason", Json::string(each.reason)},
                           {"line", Json::string(each.text)}}));
  }
  return Json::object({{"path", Json::string(path_)},
                       {"state", Json::string(state)},
                       {"problem", Json::string(failure_.empty() ? waiting_for_ : failure_)},
                       {"offset", number(committed_.offset)},
                       {"size", number(handle_ ? seen_.size : 0)},
                       {"lines", number(counters.lines)},
                       {"bad_lines", number(counters.bad_lines)},
                       {"readings", number(counters.readings)},
                       {"truncations", number(counters.truncations)},
                       {"cut_tails", number(counters.cut_tails)},
                       {"lost_files", number(counters.lost_files)},
                       {"lines_per_s", number(lines_per_s)},
                       {"seconds_left", std::move(seconds_left)},
                       {"newest_bad", std::move(bad)}});
}

}  // namespace ledgerline::agent
