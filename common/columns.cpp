// Section := Protobuf message Section (PROTOCOL.md "Section"). Columns hold one entry per reading;
// a column whose entries are all 0 (seq_steps: all 1) is left out. times are differences to the
// reading before on the same clock (first: to 0), seq_steps to the seq before (first: to the
// batch's first seq - 1).

#include "common/columns.h"

#include <algorithm>
#include <array>

#include "common/check.h"
#include "common/decimal.h"
#include "common/protobuf_log.h"
#include "proto/ledgerline.pb.h"

namespace ledgerline {

namespace {

constexpr uint32_t kFormat = 1;
constexpr size_t kTextMax = 1024;
constexpr size_t kDimensionsMax = 32;
constexpr size_t kRecordsMax = 256;
constexpr uint32_t kKnownFlags = Columns::kFlagMonotonic | Columns::kFlagReset | Columns::kFlagLate;

tl::unexpected<Error> corrupt(const char* what) {
  return fail(Errc::corrupt, std::string("a section's ") + what);
}

// ---- Writing
// -------------------------------------------------------------------------------------------------------

void write(const MeterRow& row, v1::MeterRow& out) {
  out.set_number(row.number);
  out.set_name(row.name);
  out.set_unit(row.unit);
  out.set_scale(static_cast<uint32_t>(row.scale));
  out.set_kind(static_cast<v1::MeterKind>(row.kind));
  out.set_definition_version(row.definition_version);
  out.set_forward_ids(row.forward_ids);
}

void write(const BootRecord& boot, v1::Record& out) {
  auto& message = *out.mutable_boot();
  message.set_boot_id(boot.boot_id.str());
  message.set_software(boot.software);
  message.set_configuration_hash(boot.configuration_hash.str());
  message.set_last_receipt_number(boot.last_receipt_number);
  message.set_last_receipt_upto(boot.last_receipt_upto);
}

void write(const MeterTable& table, v1::Record& out) {
  auto& message = *out.mutable_meter_table();
  message.set_number(table.number);
  for (const auto& row : table.rows) write(row, *message.add_rows());
}

void write(const ClockAnchor& anchor, v1::Record& out) {
  auto& message = *out.mutable_clock_anchor();
  message.set_monotonic_ms(anchor.monotonic.ms);
  message.set_wall_ms(anchor.wall.unix_ms());
  message.set_quality(anchor.synchronised ? v1::SYNCHRONISED : v1::UNSYNCHRONISED);
}

void write(const Coarsened& coarsened, v1::Record& out) {
  auto& message = *out.mutable_coarsened();
  message.set_readings(coarsened.readings);
  message.set_measurements(coarsened.measurements);
  message.set_from_ms(coarsened.from.unix_ms());
  message.set_to_ms(coarsened.to.unix_ms());
  message.set_step_ms(coarsened.step.count());
}

/// A column unless all of it is 0.
template <class Values, class Field>
void write_column(const Values& values, Field* field) {
  if (std::all_of(values.begin(), values.end(), [](auto v) { return v == 0; })) return;
  field->Reserve(static_cast<int>(values.size()));
  for (const auto v : values) field->AddAlreadyReserved(v);
}

void write_times(const Columns& columns, v1::Section& out) {
  auto* times = out.mutable_times();
  times->Reserve(static_cast<int>(columns.size()));
  std::array<int64_t, 2> before{};  // wall clock, monotonic clock
  for (size_t i = 0; i < columns.size(); ++i) {
    int64_t& last = before[columns.flags[i] & Columns::kFlagMonotonic];
    // Differences wrap around on purpose: any pair of 64-bit times is representable.
    times->AddAlreadyReserved(static_cast<int64_t>(static_cast<uint64_t>(columns.times[i]) -
                                                   static_cast<uint64_t>(last)));
    last = columns.times[i];
  }
}

void write_seqs(const Columns& columns, v1::Section& out) {
  if (columns.seqs.empty()) return;
  auto* steps = out.mutable_seq_steps();
  steps->Reserve(static_cast<int>(columns.size()));
  Seq before = columns.first_seq - 1;
  for (const Seq seq : columns.seqs) {
    steps->AddAlreadyReserved(static_cast<uint32_t>(seq - before));
    before = seq;
  }
}

void write_flags(const Columns& columns, v1::Section& out) {
  if (std::all_of(columns.flags.begin(), columns.flags.end(), [](uint8_t f) { return f == 0; }))
    return;
  for (size_t i = 0; i < columns.size();) {
    size_t end = i + 1;
    while (end < columns.size() && columns.flags[end] == columns.flags[i]) ++end;
    auto* run = out.add_flags();
    run->set_count(static_cast<uint32_t>(end - i));
    run->set_flags(columns.flags[i]);
    i = end;
  }
}

// ---- Reading
// -------------------------------------------------------------------------------------------------------

bool is_text(const std::string& text, size_t size_max = kTextMax) {
  return text.size() <= size_max && is_utf8(text);
}

Result<MeterTable> read(const v1::MeterTable& in) {
  MeterTable table;
  table.number = in.number();
  if (table.number == 0) return corrupt("meter table has no number");
  uint32_t before = 0;
  for (const auto& row : in.rows()) {
    const bool known_kind = row.kind() >= v1::REGISTER && row.kind() <= v1::EVENT;
    if (row.number() <= before || !known_kind || row.scale() > Decimal::kScaleMax ||
        row.name().empty() || !is_text(row.name(), MeterTable::kNameMax) ||
        !is_text(row.unit(), MeterTable::kUnitMax)) {
      return corrupt("meter table has a bad row");
    }
    before = row.number();
    table.rows.push_back({.number = row.number(),
                          .name = row.name(),
                          .unit = row.unit(),
                          .scale = static_cast<int>(row.scale()),
                          .kind = static_cast<MeterKind>(row.kind()),
                          .definition_version = row.definition_version(),
                          .forward_ids = row.forward_ids()});
  }
  return table;
}

Result<BootRecord> read(const v1::BootRecord& in) {
  TRY(const BootId boot_id, BootId::from(in.boot_id()));
  TRY(const Digest configuration, Digest::from(in.configuration_hash()));
  if (!is_text(in.software())) return corrupt("boot record names no readable software");
  return BootRecord{.boot_id = boot_id,
                    .software = in.software(),
                    .configuration_hash = configuration,
                    .last_receipt_number = in.last_receipt_number(),
                    .last_receipt_upto = in.last_receipt_upto()};
}

Result<std::vector<Record>> read_records(const v1::Section& in, Seq first_seq, Seq last_seq) {
  std::vector<Record> out;
  if (static_cast<size_t>(in.records_size()) > kRecordsMax) return corrupt("records are too many");
  Seq before = first_seq;
  for (const auto& record : in.records()) {
    if (record.before_seq() < before || record.before_seq() > last_seq + 1) {
      return corrupt("record stands outside its readings");
    }
    before = record.before_seq();
    switch (record.kind_case()) {
      case v1::Record::kBoot: {
        TRY(auto boot, read(record.boot()));
        out.push_back({before, std::move(boot)});
        break;
      }
      case v1::Record::kMeterTable: {
        TRY(auto table, read(record.meter_table()));
        out.push_back({before, std::move(table)});
        break;
      }
      case v1::Record::kClockAnchor: {
        const auto& anchor = record.clock_anchor();
        out.push_back({before, ClockAnchor{.monotonic = {anchor.monotonic_ms()},
                                           .wall = Timestamp(anchor.wall_ms()),
                                           .synchronised = anchor.quality() == v1::SYNCHRONISED}});
        break;
      }
      case v1::Record::kCoarsened: {
        const auto& coarsened = record.coarsened();
        out.push_back({before, Coarsened{.readings = coarsened.readings(),
                                         .measurements = coarsened.measurements(),
                                         .from = Timestamp(coarsened.from_ms()),
                                         .to = Timestamp(coarsened.to_ms()),
                                         .step = Duration(coarsened.step_ms())}});
        break;
      }
      case v1::Record::KIND_NOT_SET:
        return corrupt("record is of an unknown kind");
    }
  }
  return out;
}

Status read_dictionaries(v1::Section& in, Columns& out) {
  for (auto& subject : *in.mutable_subjects()) {
    if (!is_text(subject) || subject.empty())
      return corrupt("subject is empty, too long or not UTF-8");
    out.subjects.push_back(std::move(subject));
  }
  for (auto& set : *in.mutable_dimension_sets()) {
    DimensionSet dimensions;
    if (static_cast<size_t>(set.dimensions_size()) > kDimensionsMax)
      return corrupt("dimensions are too many");
    for (auto& d : *set.mutable_dimensions()) {
      if (!is_text(d.name()) || !is_text(d.value()) || d.name().empty() ||
          (!dimensions.empty() && d.name() <= dimensions.back().first)) {
        return corrupt("dimension set is not sorted readable text");
      }
      dimensions.emplace_back(std::move(*d.mutable_name()), std::move(*d.mutable_value()));
    }
    if (dimensions.empty()) return corrupt("dimension set is empty");
    out.dimension_sets.push_back(std::move(dimensions));
  }
  return {};
}

/// A column of `count` entries, each at most `last`.
template <class Field, class Values>
Status read_column(const Field& field, size_t count, uint64_t last, const char* name, Values& out) {
  out.assign(count, 0);
  if (field.empty()) return {};
  if (static_cast<size_t>(field.size()) != count) return corrupt(name);
  for (size_t i = 0; i < count; ++i) {
    const auto value = field.Get(static_cast<int>(i));
    if (static_cast<uint64_t>(value) > last) return corrupt(name);
    out[i] = value;
  }
  return {};
}

/// What a series' key costs is bounded here, before anybody copies it.
Status check_series_text(const Columns& columns) {
  std::vector<size_t> dimension_sizes;
  for (const DimensionSet& set : columns.dimension_sets) {
    size_t size = 0;
    for (const auto& [name, value] : set) size += name.size() + value.size();
    dimension_sizes.push_back(size);
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    const uint32_t set = columns.dimension_indexes[i];
    const size_t size = columns.subject(i).size() + (set == 0 ? 0 : dimension_sizes[set - 1]);
    if (size > Columns::kSeriesTextMax)
      return corrupt("reading has more than 4 KiB of subject and dimensions");
  }
  return {};
}

/// Ascending seqs up to last_seq.
Status read_seqs(const v1::Section& in, size_t count, Seq last_seq, Columns& out) {
  Seq seq = out.first_seq - 1;
  const auto& steps = in.seq_steps();
  if (steps.empty()) {
    if (count > last_seq - seq) return corrupt("seqs lie outside its batch");
    return {};
  }
  if (static_cast<size_t>(steps.size()) != count) return corrupt("seqs are not one per reading");
  for (const uint32_t step : steps) {
    if (step == 0 || step > last_seq - seq) return corrupt("seqs lie outside its batch");
    seq += step;
    out.seqs.push_back(seq);
  }
  const bool consecutive = seq - (out.first_seq - 1) == count;
  if (consecutive) out.seqs.clear();
  return {};
}

Status read_flags(const v1::Section& in, size_t count, Columns& out) {
  out.flags.assign(count, 0);
  size_t at = 0;
  for (const auto& run : in.flags()) {
    if (run.count() == 0 || run.count() > count - at || (run.flags() & ~kKnownFlags) != 0)
      return corrupt("flags are off");
    std::fill_n(out.flags.begin() + static_cast<std::ptrdiff_t>(at), run.count(),
                static_cast<uint8_t>(run.flags()));
    at += run.count();
  }
  if (at != 0 && at != count) return corrupt("flags are fewer than its readings");
  return {};
}

Status read_times(const v1::Section& in, size_t count, Columns& out) {
  out.times.assign(count, 0);
  if (static_cast<size_t>(in.times_size()) != count)
    return corrupt("times are not one per reading");
  std::array<int64_t, 2> before{};
  for (size_t i = 0; i < count; ++i) {
    int64_t& last = before[out.flags[i] & Columns::kFlagMonotonic];
    last = static_cast<int64_t>(static_cast<uint64_t>(last) +
                                static_cast<uint64_t>(in.times(static_cast<int>(i))));
    out.times[i] = last;
  }
  return {};
}

/// The columns that only some meters have: raw registers and forwarded ids.
Status read_sparse(v1::Section& in, const MeterRows& meters, Columns& out) {
  int next_register = 0;
  int next_id = 0;
  out.registers.assign(out.size(), 0);
  const MeterRow* row = nullptr;
  for (size_t i = 0; i < out.size(); ++i) {
    if (row == nullptr || row->number != out.meters[i]) {
      const auto found = meters.find(out.meters[i]);
      if (found == meters.end()) return corrupt("meter stands in no meter table");
      row = &found->second;
    }
    if (row->kind == MeterKind::register_) {
      if (next_register == in.registers_size())
        return corrupt("registers are fewer than its register readings");
      out.registers[i] = in.registers(next_register++);
    }
    if (row->forward_ids) {
      if (next_id == in.ids_size()) return corrupt("ids are fewer than its readings with ids");
      if (out.ids.empty()) out.ids.resize(out.size());
      out.ids[i] = std::move(*in.mutable_ids(next_id++));
      if (!is_text(out.ids[i])) return corrupt("id is too long or not UTF-8");
    }
  }
  if (next_register != in.registers_size() || next_id != in.ids_size())
    return corrupt("registers or ids are left over");
  return {};
}

Result<v1::Section> parse(ByteView plain) {
  if (plain.size() > Columns::kPlainSizeMax) return corrupt("plain bytes are more than 1 MiB");
  v1::Section in;
  if (!in.ParseFromArray(plain.data(), static_cast<int>(plain.size())))
    return corrupt("plain bytes do not parse");
  if (in.format() != kFormat) return corrupt("format is unknown");
  if (in.reading_count() > Columns::kReadingsMax) return corrupt("readings are more than 4096");
  return in;
}

Result<Columns> read_section(v1::Section& in, Seq first_seq, Seq last_seq,
                             const MeterRows& known_meters) {
  const size_t count = in.reading_count();
  Columns out;
  out.first_seq = first_seq;
  TRY(out.records, read_records(in, first_seq, last_seq));
  MeterRows meters = known_meters;
  TRY_VOID(apply_meter_tables(out.records, meters));
  TRY_VOID(read_dictionaries(in, out));
  TRY_VOID(read_seqs(in, count, last_seq, out));
  TRY_VOID(
      read_column(in.meters(), count, UINT32_MAX, "meters are not one per reading", out.meters));
  TRY_VOID(read_column(in.subject_indexes(), count, out.subjects.size(), "subject indexes are off",
                       out.subject_indexes));
  TRY_VOID(read_column(in.dimension_indexes(), count, out.dimension_sets.size(),
                       "dimension indexes are off", out.dimension_indexes));
  TRY_VOID(check_series_text(out));
  TRY_VOID(
      read_column(in.values(), count, UINT64_MAX, "values are not one per reading", out.values));
  TRY_VOID(read_flags(in, count, out));
  TRY_VOID(read_times(in, count, out));
  TRY_VOID(read_sparse(in, meters, out));
  return out;
}

}  // namespace

std::string_view Columns::subject(size_t i) const {
  const uint32_t index = subject_indexes[i];
  return index == 0 ? std::string_view() : std::string_view(subjects[index - 1]);
}

const DimensionSet& Columns::dimensions(size_t i) const {
  static const DimensionSet kNone;
  const uint32_t index = dimension_indexes[i];
  return index == 0 ? kNone : dimension_sets[index - 1];
}

size_t Columns::index_of(Seq seq) const {
  if (seq <= first_seq) return 0;
  if (seqs.empty()) return static_cast<size_t>(std::min<Seq>(seq - first_seq, size()));
  return static_cast<size_t>(std::lower_bound(seqs.begin(), seqs.end(), seq) - seqs.begin());
}

Reading Columns::reading(size_t i) const {
  return {.meter = meters[i],
          .subject = std::string(subject(i)),
          .dimensions = dimensions(i),
          .time_ms = times[i],
          .monotonic_time = (flags[i] & kFlagMonotonic) != 0,
          .register_reset = (flags[i] & kFlagReset) != 0,
          .late = (flags[i] & kFlagLate) != 0,
          .value = values[i],
          .register_value = registers[i],
          .id = ids.empty() ? std::string() : ids[i]};
}

uint32_t ColumnsBuilder::subject_index(std::string_view subject) {
  if (subject.empty()) return 0;
  const auto found = subject_indexes_.find(subject);
  if (found != subject_indexes_.end()) return found->second;
  columns_.subjects.emplace_back(subject);
  const auto index = static_cast<uint32_t>(columns_.subjects.size());
  subject_indexes_.emplace(subject, index);
  return index;
}

uint32_t ColumnsBuilder::dimension_index(const DimensionSet& dimensions) {
  if (dimensions.empty()) return 0;
  const auto next = static_cast<uint32_t>(columns_.dimension_sets.size() + 1);
  const auto [found, added] = dimension_indexes_.try_emplace(dimensions, next);
  if (added) columns_.dimension_sets.push_back(dimensions);
  return found->second;
}

void ColumnsBuilder::add(const Reading& reading) {
  if (!reading.id.empty() && columns_.ids.empty()) columns_.ids.resize(columns_.size());
  if (!columns_.ids.empty() || !reading.id.empty()) columns_.ids.push_back(reading.id);
  columns_.meters.push_back(reading.meter);
  columns_.subject_indexes.push_back(subject_index(reading.subject));
  columns_.dimension_indexes.push_back(dimension_index(reading.dimensions));
  columns_.times.push_back(reading.time_ms);
  columns_.flags.push_back(
      static_cast<uint8_t>((reading.monotonic_time ? Columns::kFlagMonotonic : 0) |
                           (reading.register_reset ? Columns::kFlagReset : 0) |
                           (reading.late ? Columns::kFlagLate : 0)));
  columns_.values.push_back(reading.value);
  columns_.registers.push_back(reading.register_value);
}

ColumnsBuilder::Source::Source(const Columns& columns)
    : columns_(&columns),
      subjects_(columns.subjects.size() + 1),
      dimensions_(columns.dimension_sets.size() + 1) {}

void ColumnsBuilder::add(Source& source, size_t i) {
  const Columns& from = *source.columns_;
  uint32_t& subject = source.subjects_[from.subject_indexes[i]];
  if (subject == 0) subject = subject_index(from.subject(i));
  uint32_t& dimensions = source.dimensions_[from.dimension_indexes[i]];
  if (dimensions == 0) dimensions = dimension_index(from.dimensions(i));
  if (!from.ids.empty() && columns_.ids.empty()) columns_.ids.resize(columns_.size());
  if (!columns_.ids.empty() || !from.ids.empty())
    columns_.ids.push_back(from.ids.empty() ? std::string() : from.ids[i]);
  columns_.meters.push_back(from.meters[i]);
  columns_.subject_indexes.push_back(subject);
  columns_.dimension_indexes.push_back(dimensions);
  columns_.times.push_back(from.times[i]);
  columns_.flags.push_back(from.flags[i]);
  columns_.values.push_back(from.values[i]);
  columns_.registers.push_back(from.registers[i]);
}

void ColumnsBuilder::add(RecordKind record) {
  columns_.records.push_back({next_seq(), std::move(record)});
}

void ColumnsBuilder::append(const Columns& run) {
  CHECK_INVARIANT(run.first_seq == next_seq() && run.seqs.empty());
  std::vector<uint32_t> subjects(run.subjects.size() + 1);
  for (size_t i = 0; i < run.subjects.size(); ++i) subjects[i + 1] = subject_index(run.subjects[i]);
  std::vector<uint32_t> dimensions(run.dimension_sets.size() + 1);
  for (size_t i = 0; i < run.dimension_sets.size(); ++i)
    dimensions[i + 1] = dimension_index(run.dimension_sets[i]);

  columns_.records.insert(columns_.records.end(), run.records.begin(), run.records.end());
  if (!run.ids.empty() || !columns_.ids.empty()) {
    columns_.ids.resize(columns_.size());
    columns_.ids.insert(columns_.ids.end(), run.ids.begin(), run.ids.end());
    columns_.ids.resize(columns_.size() + run.size());
  }
  for (size_t i = 0; i < run.size(); ++i) {
    columns_.subject_indexes.push_back(subjects[run.subject_indexes[i]]);
    columns_.dimension_indexes.push_back(dimensions[run.dimension_indexes[i]]);
  }
  columns_.meters.insert(columns_.meters.end(), run.meters.begin(), run.meters.end());
  columns_.times.insert(columns_.times.end(), run.times.begin(), run.times.end());
  columns_.flags.insert(columns_.flags.end(), run.flags.begin(), run.flags.end());
  columns_.values.insert(columns_.values.end(), run.values.begin(), run.values.end());
  columns_.registers.insert(columns_.registers.end(), run.registers.begin(), run.registers.end());
}

Bytes encode_section(const Columns& columns, const MeterRows& known_meters) {
  MeterRows meters = known_meters;
  const auto applied = apply_meter_tables(columns.records, meters);
  CHECK_INVARIANT(applied.has_value());
  v1::Section out;
  out.set_format(kFormat);
  out.set_reading_count(static_cast<uint32_t>(columns.size()));
  for (const auto& record : columns.records) {
    auto& message = *out.add_records();
    message.set_before_seq(record.before_seq);
    std::visit([&](const auto& kind) { write(kind, message); }, record.kind);
  }
  for (const auto& subject : columns.subjects) out.add_subjects(subject);
  for (const auto& set : columns.dimension_sets) {
    auto& message = *out.add_dimension_sets();
    for (const auto& [name, value] : set) {
      auto& dimension = *message.add_dimensions();
      dimension.set_name(name);
      dimension.set_value(value);
    }
  }
  write_seqs(columns, out);
  write_column(columns.meters, out.mutable_meters());
  write_column(columns.subject_indexes, out.mutable_subject_indexes());
  write_column(columns.dimension_indexes, out.mutable_dimension_indexes());
  write_times(columns, out);
  write_column(columns.values, out.mutable_values());
  write_flags(columns, out);
  const MeterRow* row = nullptr;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (row == nullptr || row->number != columns.meters[i]) row = &meters.at(columns.meters[i]);
    if (row->kind == MeterKind::register_) out.add_registers(columns.registers[i]);
    if (row->forward_ids) out.add_ids(columns.ids.empty() ? std::string() : columns.ids[i]);
  }
  Bytes bytes(out.ByteSizeLong());
  CHECK_INVARIANT(out.SerializeToArray(bytes.data(), static_cast<int>(bytes.size())));
  return bytes;
}

Result<Columns> decode_section(ByteView plain, Seq first_seq, const MeterRows& known_meters) {
  TRY(v1::Section in, parse(plain));
  if (in.seq_steps_size() != 0) return corrupt("seqs are not consecutive");
  return read_section(in, first_seq, first_seq + in.reading_count() - 1, known_meters);
}

Result<Columns> decode_subject_section(ByteView plain, Seq first_seq, Seq last_seq,
                                       const MeterRows& known_meters) {
  TRY(v1::Section in, parse(plain));
  return read_section(in, first_seq, last_seq, known_meters);
}

Status apply_meter_tables(const std::vector<Record>& records, MeterRows& meters) {
  for (const auto& record : records) {
    const auto* table = std::get_if<MeterTable>(&record.kind);
    if (table == nullptr) continue;
    for (const auto& row : table->rows) {
      const auto [found, added] = meters.try_emplace(row.number, row);
      if (!added && found->second != row)
        return corrupt("meter table gives a number another meaning");
      if (meters.size() > MeterTable::kStreamMetersMax)
        return corrupt("meter table gives the stream more than 1024 meters");
    }
  }
  return {};
}

}  // namespace ledgerline
