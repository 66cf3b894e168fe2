// SPDX-License-Identifier: GPL-3.0-or-later
// Tables of the experiment log. The comments inside the statements are kept by SQLite, so that `.schema` in a plain
// sqlite3 shell explains itself. A published step never changes: what is new goes into a new step.
#include "core/experiment/schema.h"

#include "core/base/error.h"

#include <array>
#include <filesystem>

namespace bw {
namespace {

constexpr std::string_view kTables = R"sql(
CREATE TABLE checkpoints ( -- model files that runs worked on
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL,
  name TEXT NOT NULL,              -- for people
  kind TEXT NOT NULL,              -- safetensors, gguf
  family TEXT NOT NULL,            -- llama ...
  parameters INTEGER NOT NULL,
  bytes INTEGER NOT NULL,          -- of all files
  bits_per_weight REAL NOT NULL,
  fingerprint TEXT NOT NULL,       -- sha256 of tensor names, types, shapes, offsets and of file sizes and times
  UNIQUE (path, fingerprint)
) STRICT;

CREATE TABLE stacks ( -- what a run ran on
  id INTEGER PRIMARY KEY,
  program TEXT NOT NULL,           -- name, version, build
  compiler TEXT NOT NULL,
  libraries TEXT NOT NULL,
  cpu TEXT NOT NULL,               -- model and instruction sets
  device TEXT NOT NULL,
  threads INTEGER NOT NULL,
  UNIQUE (program, compiler, libraries, cpu, device, threads)
) STRICT;

CREATE TABLE datasets ( -- text files by content
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  UNIQUE (path, sha256)
) STRICT;

CREATE TABLE runs ( -- one row per stage that was started
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,              -- calibrate, sweep, assign, quantize, evaluate, generate
  name TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('running','done','failed','cancelled','interrupted')),
  checkpoint INTEGER NOT NULL REFERENCES checkpoints(id),
  stack INTEGER NOT NULL REFERENCES stacks(id),
  recipe TEXT NOT NULL CHECK (json_valid(recipe)),
  command_line TEXT NOT NULL,
  started_at TEXT NOT NULL,        -- UTC, ISO 8601
  finished_at TEXT,                -- UTC, ISO 8601
  seconds REAL NOT NULL DEFAULT 0, -- steady clock, resumed parts added up
  error TEXT NOT NULL DEFAULT '',
  pid INTEGER NOT NULL,            -- with the next two: the process that works on it
  process_start INTEGER NOT NULL,  -- clock ticks since boot
  boot_id TEXT NOT NULL,
  starred INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_by_checkpoint ON runs (checkpoint, kind);

CREATE TABLE run_datasets ( -- which texts a run read, and what for
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  dataset INTEGER NOT NULL REFERENCES datasets(id),
  role TEXT NOT NULL,              -- calibration, evaluation
  tokens INTEGER NOT NULL,         -- of the whole text with this run's tokenizer
  PRIMARY KEY (run, dataset, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics ( -- figures of a run
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  name TEXT NOT NULL,              -- perplexity, nll, kl_mean, bytes, seconds ...
  value REAL,                      -- NULL: not a finite number
  standard_error REAL,
  unit TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE site_statistics ( -- activations that enter a group of sites
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  input_group TEXT NOT NULL,
  sites TEXT NOT NULL,             -- the sites that read it, comma separated
  tokens INTEGER NOT NULL,
  abs_max REAL NOT NULL,
  outlier_share REAL NOT NULL,     -- share of |x| > 6 rms
  outlier_channels INTEGER NOT NULL, -- channels whose max > 20 x the median channel's
  kurtosis REAL NOT NULL,          -- excess
  channel_max TEXT NOT NULL CHECK (json_valid(channel_max)), -- JSON array, one per channel
  PRIMARY KEY (run, input_group)
) STRICT, WITHOUT ROWID;

CREATE TABLE clip_ranges ( -- where each calibrator would clip an input
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  input_group TEXT NOT NULL,
  calibrator TEXT NOT NULL,        -- minmax, percentile, kl, mse
  low REAL NOT NULL,
  high REAL NOT NULL,
  heldout_error REAL,              -- relative squared error of an 8-bit grid on held-out windows
  PRIMARY KEY (run, input_group, calibrator)
) STRICT, WITHOUT ROWID;

CREATE TABLE histograms ( -- activation values of an input, equal bins from low to high
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  input_group TEXT NOT NULL,
  low REAL NOT NULL,
  high REAL NOT NULL,
  bins TEXT NOT NULL CHECK (json_valid(bins)), -- JSON array of counts
  below INTEGER NOT NULL,
  above INTEGER NOT NULL,
  nan INTEGER NOT NULL,
  infinite INTEGER NOT NULL,
  PRIMARY KEY (run, input_group)
) STRICT, WITHOUT ROWID;

CREATE TABLE sensitivities ( -- cost of one site in one format
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  site TEXT NOT NULL,
  format TEXT NOT NULL,            -- as asked
  used TEXT NOT NULL,              -- after fallback
  metric TEXT NOT NULL,            -- output (relative squared error), kl (nats per token)
  bytes INTEGER NOT NULL,
  value REAL NOT NULL,
  standard_error REAL NOT NULL,
  PRIMARY KEY (run, site, format, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE assignments ( -- format of every site or tensor of a run
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,       -- model order
  site TEXT NOT NULL,
  asked TEXT NOT NULL,
  used TEXT NOT NULL,
  why TEXT NOT NULL,               -- empty when used is what was asked
  bytes INTEGER NOT NULL,
  cost REAL NOT NULL,              -- predicted damage, 0 where none was predicted
  relative_error REAL NOT NULL,    -- |W - W'|^2 / |W|^2
  PRIMARY KEY (run, site)
) STRICT, WITHOUT ROWID;

CREATE TABLE outputs ( -- texts a model wrote
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  prompt TEXT NOT NULL,
  text TEXT NOT NULL,
  ids TEXT NOT NULL CHECK (json_valid(ids))
) STRICT;
CREATE INDEX outputs_by_run ON outputs (run);

CREATE TABLE token_scores ( -- one value per scored token in window order; little-endian blobs
  run INTEGER PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
  tokens INTEGER NOT NULL,
  ids BLOB NOT NULL,               -- int32
  nll BLOB NOT NULL,               -- float32, nats
  kl BLOB NOT NULL                 -- float32, nats; empty without a baseline
) STRICT;

CREATE TABLE artifacts ( -- files a run wrote
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,              -- gguf, safetensors, recipe ...
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  state TEXT NOT NULL,             -- writing, complete, incomplete, failed-audit
  created_at TEXT NOT NULL,        -- UTC, ISO 8601
  UNIQUE (run, path)
) STRICT;

CREATE TABLE notes ( -- what a person wrote about a run
  run INTEGER PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
  text TEXT NOT NULL,
  written_at TEXT NOT NULL
) STRICT;

CREATE TABLE tags (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;
)sql";

constexpr std::string_view kViews = R"sql(
CREATE VIEW run_overview AS -- SELECT * FROM run_overview;
  SELECT r.id, r.kind, r.status, c.name AS checkpoint, r.name, r.started_at, round(r.seconds, 1) AS seconds,
    (SELECT value FROM metrics m WHERE m.run = r.id AND m.name = 'perplexity') AS perplexity,
    (SELECT value FROM metrics m WHERE m.run = r.id AND m.name = 'kl_mean') AS kl_mean,
    (SELECT value FROM metrics m WHERE m.run = r.id AND m.name = 'bits_per_weight') AS bits_per_weight,
    (SELECT CAST(value AS INTEGER) FROM metrics m WHERE m.run = r.id AND m.name = 'bytes') AS bytes,
    (SELECT group_concat(tag, ' ') FROM tags t WHERE t.run = r.id) AS tags, r.error
  FROM runs r JOIN checkpoints c ON c.id = r.checkpoint ORDER BY r.id DESC;

CREATE VIEW mix_summary AS -- how many sites got which format: SELECT * FROM mix_summary WHERE run = 5;
  SELECT run, used AS format, count(*) AS sites, sum(bytes) AS bytes, sum(cost) AS predicted
  FROM assignments GROUP BY run, used ORDER BY run, bytes DESC;

CREATE VIEW sensitive_sites AS -- the worst first: SELECT * FROM sensitive_sites WHERE run = 3 AND format = 'q4_0' LIMIT 10;
  SELECT run, metric, site, format, value, standard_error, bytes FROM sensitivities ORDER BY value DESC;
)sql";

constexpr std::string_view kResults = R"sql(
ALTER TABLE runs ADD COLUMN build TEXT NOT NULL DEFAULT ''; -- identity of the executable: only its own work is taken over

CREATE TABLE results ( -- what a finished run gave; sites and cells are left out, they have tables of their own
  run INTEGER PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
  json TEXT NOT NULL CHECK (json_valid(json))
) STRICT;
)sql";

constexpr std::string_view kFisher = R"sql(
ALTER TABLE sensitivities ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0; -- that passed the site; 0: not recorded

CREATE TABLE fisher_probes ( -- beside a row of sensitivities with metric fisher: what its damage is made of
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  site TEXT NOT NULL,
  format TEXT NOT NULL,            -- as asked
  projections BLOB NOT NULL,       -- float32 little-endian, one per probe, draws of a window side by side; value = mean square / 2
  PRIMARY KEY (run, site, format)
) STRICT;
)sql";

constexpr std::string_view kMethods = R"sql(
CREATE TABLE site_rounding ( -- what a rounder made of each site
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  site TEXT NOT NULL,
  rounder TEXT NOT NULL,           -- nearest, weighted, gptq ...
  error_nearest REAL,              -- output error of nearest rounding, relative; NULL: not a finite number
  error REAL,                      -- of what was kept
  damping REAL NOT NULL,           -- share of the mean diagonal that the factorisation needed
  fallback TEXT NOT NULL,          -- why another rounder than asked was used; empty: none
  tokens INTEGER NOT NULL,         -- that passed the site
  PRIMARY KEY (run, site)
) STRICT, WITHOUT ROWID;

CREATE TABLE transforms ( -- what was fitted before rounding
  run INTEGER PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
  json TEXT NOT NULL CHECK (json_valid(json))
) STRICT;

CREATE TABLE warnings ( -- what a careful engineer would say about a run's data
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,              -- few-samples, short-samples, overlap, domain, starved-experts ...
  seen TEXT NOT NULL,              -- what was found
  why TEXT NOT NULL,               -- why it matters
  remedy TEXT NOT NULL,            -- what to do
  details TEXT NOT NULL CHECK (json_valid(details)), -- JSON array of texts: passages, sites, files
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE range_errors ( -- relative squared error of an 8-bit grid on held-out windows
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  input_group TEXT NOT NULL,
  scope TEXT NOT NULL,             -- tensor, channel, token
  calibrator TEXT NOT NULL,        -- minmax, average, percentile, kl, mse, dynamic
  error REAL NOT NULL,
  PRIMARY KEY (run, input_group, scope, calibrator)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_statistics ( -- per channel of an input; blobs are float32 little-endian, one value per channel
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  input_group TEXT NOT NULL,
  channels INTEGER NOT NULL,
  mean BLOB NOT NULL,
  mean_absolute BLOB NOT NULL,
  mean_square BLOB NOT NULL,
  low BLOB NOT NULL,
  high BLOB NOT NULL,
  weight_max BLOB NOT NULL,        -- largest |weight| of the column in the sites that read the input; may be empty
  weight_squares BLOB NOT NULL,    -- sum of squares of the column's weights; may be empty
  PRIMARY KEY (run, input_group)
) STRICT, WITHOUT ROWID;

CREATE TABLE expert_coverage ( -- calibration tokens that were routed to each expert
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  block INTEGER NOT NULL,
  expert INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  PRIMARY KEY (run, block, expert)
) STRICT, WITHOUT ROWID;
)sql";

constexpr std::string_view kOutputPairs = R"sql(
CREATE TABLE output_pairs ( -- what a model and its baseline wrote to the same prompt
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  prompt_id TEXT NOT NULL,
  prompt TEXT NOT NULL,
  divergence INTEGER NOT NULL,     -- first new token that differs; -1: the same text
  cosine REAL NOT NULL,            -- of last hidden states over the baseline's text
  json TEXT NOT NULL CHECK (json_valid(json)), -- base, model: {text, ids, under_base, under_model, collapse}; top_base, top_model, lowest_cosine, edit_distance
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
)sql";

constexpr std::string_view kTokenParts = R"sql(
ALTER TABLE token_scores ADD COLUMN marks BLOB NOT NULL DEFAULT x'';  -- uint8 per token: 1 it was the model's likeliest, 2 model and baseline find the same likeliest; empty: not recorded
ALTER TABLE token_scores ADD COLUMN texts TEXT NOT NULL DEFAULT '[]'; -- JSON, in window order: [{"name", "unit", "documents": [scored tokens of each]}]
)sql";

constexpr std::string_view kTopTokens = R"sql(
ALTER TABLE token_scores ADD COLUMN top_tokens BLOB NOT NULL DEFAULT x''; -- likeliest tokens of model and baseline: per token a count (bit 7: with baseline), then per candidate its id (LEB128), p and baseline's p (float16)
)sql";

constexpr std::array kMigrations{
    Migration{1, "tables", kTables},
    Migration{2, "views for the sqlite3 shell", kViews},
    Migration{3, "results of finished runs, so that a stopped mix goes on where it was", kResults},
    Migration{4, "projections of the Fisher sketch, and how many tokens a site saw", kFisher},
    Migration{5, "rounding of sites, transforms, warnings, errors of ranges, channels and experts", kMethods},
    Migration{6, "outputs of two models side by side", kOutputPairs},
    Migration{7, "likeliest tokens, texts and documents of scored tokens", kTokenParts},
    Migration{8, "candidates at scored tokens", kTopTokens},
};

bool hasForeignTables(SQLite::Database& database) {
    return database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() > 0 &&
           database.execAndGet("PRAGMA application_id").getInt() != kLogApplicationId;
}

std::string backup(SQLite::Database& database, const std::string& path, int version) {
    const std::string stem = path + ".v" + std::to_string(version) + ".backup";
    std::string target = stem;
    for (int n = 2; std::filesystem::exists(target); ++n)
        target = stem + "-" + std::to_string(n);
    SQLite::Statement statement(database, "VACUUM INTO ?");
    statement.bind(1, target);
    statement.exec();
    return target;
}

} // namespace

std::span<const Migration> logMigrations() { return kMigrations; }

int currentLogVersion() { return kMigrations.back().version; }

std::string missingFromLog(SQLite::Database& database) {
    SQLite::Database ours(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    for (const Migration& step : logMigrations())
        ours.exec(std::string(step.sql));
    std::string missing;
    SQLite::Statement columns(ours, "SELECT t.name, c.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'");
    SQLite::Statement found(database, "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?");
    while (columns.executeStep()) {
        const std::string table = columns.getColumn(0).getString(), column = columns.getColumn(1).getString();
        found.reset();
        found.bind(1, table);
        found.bind(2, column);
        found.executeStep();
        if (found.getColumn(0).getInt() == 0)
            missing += (missing.empty() ? "" : ", ") + table + "." + column;
    }
    return missing;
}

int logVersion(SQLite::Database& database) { return database.execAndGet("PRAGMA user_version").getInt(); }

std::string migrateLog(SQLite::Database& database, const std::string& path, std::span<const Migration> steps) {
    if (hasForeignTables(database))
        throw Error(ErrorCode::logCorrupt, "'" + path + "' is an SQLite database, but not a Bitwright log",
                    "name another file with --log; this one is left as it is");
    const int found = logVersion(database);
    std::string saved;
    if (found > 0 && !steps.empty() && found < steps.back().version)
        saved = backup(database, path, found);
    for (const Migration& step : steps) {
        if (step.version <= logVersion(database))
            continue;
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        if (step.version <= logVersion(database))
            continue; // another process was faster while we waited for the lock
        database.exec("PRAGMA application_id = " + std::to_string(kLogApplicationId));
        database.exec(std::string(step.sql));
        database.exec("PRAGMA user_version = " + std::to_string(step.version));
        transaction.commit();
    }
    return saved;
}

} // namespace bw
