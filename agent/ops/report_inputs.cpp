#include "agent/ops/report_inputs.h"

#include "common/printable.h"

namespace ledgerline::agent {

namespace {

/// "; N WORDS" where there are any.
std::string if_any(const Json& report, std::string_view name, std::string_view words) {
  const std::string count = text_at(report, name);
  if (count.empty() || count == "0") return "";
  return "; " + count + " " + std::string(words);
}

/// How a followed file stands, and below it the newest lines that were no good.
std::string file_text(const Json& file) {
  std::string out = "  file       " + text_at(file, "path") + ": " + text_at(file, "state");
  if (const std::string problem = text_at(file, "problem"); !problem.empty())
    out += " (" + problem + ")";
  out += ", " + text_at(file, "offset") + " of " + text_at(file, "size") + " bytes, " +
         text_at(file, "lines") + " lines, " + text_at(file, "readings") + " readings";
  if (text_at(file, "lines_per_s") != "0") out += ", " + text_at(file, "lines_per_s") + " lines/s";
  if (const std::string left = text_at(file, "seconds_left"); !left.empty())
    out += ", " + left + " s left";
  if (text_at(file, "lost_files") != "0")
    out += "; " + text_at(file, "lost_files") + " files were gone before they were read";
  if (const std::string cut = text_at(file, "cut_tails"); !cut.empty() && cut != "0")
    out += "; a power cut took the end of what was read " + cut + " times";
  out += "\n";
  if (text_at(file, "bad_lines") != "0")
    out += "    bad lines  " + text_at(file, "bad_lines") + ", the newest:\n";
  if (const Json* bad = file.find("newest_bad")) {
    for (const Json& line : bad->items()) {
      out += "      at byte " + text_at(line, "offset") + ": " + text_at(line, "reason") + ": " +
             text_at(line, "line") + "\n";
    }
  }
  return out;
}

std::string newest_bad_text(const Json& report) {
  std::string out;
  if (const Json* bad = report.find("newest_bad")) {
    for (const Json& line : bad->items())
      out += "      " + text_at(line, "reason") + ": " + text_at(line, "line") + "\n";
  }
  return out;
}

std::string statsd_text(const Json& statsd) {
  std::string where = text_at(statsd, "listen");
  if (const std::string socket = text_at(statsd, "socket"); !socket.empty())
    where += (where.empty() ? "" : ", ") + socket;
  std::string out = "  statsd     " + where + ": " + text_at(statsd, "state");
  if (const std::string problem = text_at(statsd, "problem"); !problem.empty())
    out += " (" + problem + ")";
  out += ", " + text_at(statsd, "lines") + " lines, " + text_at(statsd, "samples") + " samples, " +
         text_at(statsd, "readings") + " readings";
  out += if_any(statsd, "kept_series", "series wait for the journal");
  out += if_any(statsd, "kernel_drops", "datagrams were dropped by the kernel");
  out += if_any(statsd, "over_limit_lines", "lines found no room in their interval");
  out += if_any(statsd, "dropped_samples", "samples were given up while the journal was full");
  out += "\n";
  if (text_at(statsd, "bad_lines") != "0")
    out += "    bad lines  " + text_at(statsd, "bad_lines") + ", the newest:\n" +
           newest_bad_text(statsd);
  if (text_at(statsd, "unmapped_lines") == "0") return out;
  out += "    not mapped " + text_at(statsd, "unmapped_lines") + " lines:";
  if (const Json* names = statsd.find("unmapped")) {
    for (const Json& each : names->items())
      out += " " + text_at(each, "name") + " (" + text_at(each, "lines") + ")";
  }
  return out + "\n";
}

std::string target_text(const Json& target) {
  std::string out = "  prometheus " + text_at(target, "url") + ": " + text_at(target, "state");
  if (const std::string problem = text_at(target, "problem"); !problem.empty())
    out += " (" + problem + ")";
  out += ", " + text_at(target, "scrapes") + " scrapes, " + text_at(target, "failed_scrapes") +
         " failed, " + text_at(target, "readings") + " readings; newest " +
         text_at(target, "samples") + " samples, " + text_at(target, "unmapped") +
         " of them not mapped\n";
  if (text_at(target, "bad_samples") != "0")
    out += "    bad        " + text_at(target, "bad_samples") +
           ", of the newest scrape with any:\n" + newest_bad_text(target);
  return out;
}

}  // namespace

std::string text_at(const Json& report, std::string_view name) {
  const Json* found = report.find(name);
  return found == nullptr ? "" : printable(found->text());
}

std::string inputs_text(const Json& inputs) {
  std::string out;
  if (const Json* files = inputs.find("file")) {
    for (const Json& file : files->items()) out += file_text(file);
  }
  if (const Json* statsd = inputs.find("statsd")) out += statsd_text(*statsd);
  if (const Json* targets = inputs.find("prometheus")) {
    for (const Json& target : targets->items()) out += target_text(target);
  }
  return out;
}

}  // namespace ledgerline::agent
