"""Every sentence that changes the job table, once, with the few words in which SQLite and Postgres differ.

Written out rather than built, because the claim is the heart of the platform and should be read as what it is.
"""

from __future__ import annotations

_SQLITE_NOW = "((julianday('now') - 2440587.5) * 86400.0)"
# of the statement, not clock_timestamp(): a value that is stable within a statement can use an index
_POSTGRES_NOW = "CAST(extract(epoch FROM statement_timestamp()) AS double precision)"
_READY = "state = 'queued' AND NOT paused AND not_before <="
TOGETHER = 3  # lost workers in a row, no epoch recorded in between, after which a job trains alone: its company may be what kills them
_ALONE = f"(alone OR losses >= {TOGETHER})"
_COUNTED = "cause IN ('crash', 'lost-trainer', 'stalled')"  # attempts that a worker reported and that count against their job

# Postgres writes a claim's attempts and transitions in the statement of the claim itself: one round trip, one commit.
_AND_RECORDED = f"""
), tries AS (
    INSERT INTO attempts (job_id, token, worker, host, pid, started_at, circumstances)
    SELECT id, token, :worker, :host, :pid, {_POSTGRES_NOW}, CAST(CAST(:circumstances AS jsonb) || jsonb_build_object(
        'pack_size', (SELECT count(*) FROM claimed), 'pack', (SELECT jsonb_agg(job_key ORDER BY priority DESC, id) FROM claimed)
    ) AS text) FROM claimed
    RETURNING id, job_id
), moves AS (
    INSERT INTO transitions (job_id, source, target, who, host, why, at, token)
    SELECT id, 'queued', 'running', :worker, :host, 'claimed', {_POSTGRES_NOW}, token FROM claimed
)
SELECT claimed.*, tries.id AS attempt_id FROM claimed JOIN tries ON tries.job_id = claimed.id"""

# SQLite counts rows from the largest id that is there; where a sweep was deleted, from the largest that there was (store/removal.py)
SQLITE_LAST = "(SELECT max(coalesce(max(id), 0), (SELECT user_version FROM pragma_user_version)) FROM {table})"

WORDS: dict[str, dict[str, str]] = {
    "sqlite": {
        "now": _SQLITE_NOW,
        "ready": f"{_READY} {_SQLITE_NOW}",
        "not_left": "sweep NOT IN (SELECT value FROM json_each(:left))",
        "among": "IN (SELECT value FROM json_each(:ids))",
        "unskipped": "pack_key NOT IN (SELECT value FROM json_each(:skipped))",
        "in_pack": "IN (SELECT id FROM pack)",
        "ran_sha": "json_extract(circumstances, '$.git_sha')",
        "ran_dirty": "json_extract(circumstances, '$.dirty')",
        "alone": _ALONE,
        "least": "min",
        "greatest": "max",
        "next_job": SQLITE_LAST.format(table="jobs") + " + 1",
        "next_attempt": SQLITE_LAST.format(table="attempts") + " + row_number() OVER ()",
        "lock": "",  # the transaction began IMMEDIATE: it is the only writer
        "skip_locked": "",
        "claimed_as": "",  # what a claim and a finish leave in the other tables follows in the same transaction
        "and_recorded": "",
    },
    "postgresql": {
        "now": _POSTGRES_NOW,
        "ready": f"{_READY} {_POSTGRES_NOW}",
        "not_left": "sweep <> ALL(CAST(:left AS text[]))",
        "among": "= ANY(CAST(:ids AS bigint[]))",
        "unskipped": "pack_key <> ALL(CAST(:skipped AS text[]))",
        "in_pack": "= ANY(ARRAY(SELECT id FROM pack))",  # IN would read the whole table: the planner expects a pack of thousands
        "ran_sha": "CAST(circumstances AS json) ->> 'git_sha'",
        "ran_dirty": "CAST(circumstances AS json) ->> 'dirty'",
        "alone": _ALONE,
        "least": "least",
        "greatest": "greatest",
        "next_job": "DEFAULT",  # of its sequence
        "next_attempt": "nextval(pg_get_serial_sequence('attempts', 'id'))",
        "lock": "FOR NO KEY UPDATE",  # workers that record refer to the sweep's row: they must not wait for who waits for them
        "skip_locked": "FOR UPDATE SKIP LOCKED",
        "claimed_as": ", claimed AS (",
        "and_recorded": _AND_RECORDED,
    },
}

_CLAIM = """
WITH head AS MATERIALIZED (
    SELECT id, pack_key, {alone} AS alone FROM jobs
    WHERE {ready} {of_pack}
      AND (CAST(:regardless AS boolean) OR NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND lease_until < {now}))
    ORDER BY priority DESC, id LIMIT 1 {skip_locked}
), pack AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE {ready} AND pack_key = (SELECT pack_key FROM head)
      AND (NOT {alone} OR id = (SELECT id FROM head))
    ORDER BY priority DESC, id LIMIT coalesce((SELECT CASE WHEN alone THEN 1 ELSE :k END FROM head), 0) {skip_locked}
){claimed_as}
UPDATE jobs SET state = 'running', token = token + 1, attempts = attempts + 1, lease_until = {now} + :lease,
    progress_at = {now}, stalled_after = :stalled_after, started_at = coalesce(started_at, {now})
WHERE id {in_pack}
RETURNING id, job_key, sweep, trial_key, seed, config, token, pack_key, epoch, checkpoint, checkpoint_sha,
    previous, previous_sha, {alone} AS alone, priority{and_recorded}
"""

# Postgres alone: a finish as one statement. Each row is looked up by its id, whatever the planner believes of lists out of JSON.
FINISH_AT_ONCE = """
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given (job_id bigint, token integer, diverged boolean, best_epoch integer,
        val_error double precision, test_error double precision, seconds double precision, why text)
), ours AS MATERIALIZED (
    SELECT jobs.id, jobs.state FROM jobs JOIN given ON given.job_id = jobs.id AND given.token = jobs.token
    WHERE jobs.id = ANY(ARRAY(SELECT job_id FROM given)) ORDER BY jobs.id FOR UPDATE OF jobs
), finished AS (
    UPDATE jobs SET state = 'done', diverged = given.diverged, best_epoch = given.best_epoch, val_error = given.val_error,
        test_error = given.test_error, seconds = given.seconds, finished_at = {now}, lease_until = NULL, error = NULL
    FROM given WHERE given.job_id = jobs.id AND jobs.id = ANY(ARRAY(SELECT id FROM ours WHERE state = 'running'))
    RETURNING jobs.id, jobs.token, given.why
), ended AS (
    UPDATE attempts SET ended_at = {now}, cause = finished.why, error = NULL
    FROM finished WHERE job_id = finished.id AND attempts.token = finished.token AND job_id = ANY(ARRAY(SELECT id FROM finished))
    RETURNING job_id, attempts.token, worker, host, cause
), leaving AS (
    INSERT INTO transitions (job_id, source, target, who, host, why, at, token)
    SELECT job_id, 'running', 'done', worker, host, cause, {now}, token FROM ended ORDER BY job_id
)
SELECT id FROM ours WHERE state IN ('running', 'done')
"""

_CANCEL = "UPDATE jobs SET state = 'cancelled', lease_until = NULL, finished_at = {now} WHERE id {among}"

TEMPLATES: dict[str, str] = {
    "now": "SELECT {now} AS now",
    # on Postgres launches of one sweep take turns at this row
    "sweep": """
        INSERT INTO sweeps (name, method, metric, goal, priority, retries, source, path, code, launched_at)
        VALUES (:name, :method, :metric, :goal, :priority, :retries, :source, :path, :code, {now})
        ON CONFLICT (name) DO UPDATE SET method = excluded.method, metric = excluded.metric, goal = excluded.goal,
            retries = excluded.retries, source = excluded.source, path = excluded.path,
            code = excluded.code, launched_at = excluded.launched_at,
            state = CASE WHEN sweeps.state = 'stopped' THEN 'active' ELSE sweeps.state END""",
    "known": "SELECT job_key, id FROM jobs WHERE sweep = :sweep ORDER BY id",
    "job": """
        INSERT INTO jobs (id, job_key, sweep, trial_key, seed, config, pack_key, priority, max_retries, created_at, paused)
        VALUES ({next_job}, :job_key, :sweep, :trial_key, :seed, :config, :pack_key, :priority, :max_retries, {now},
            (SELECT state = 'paused' FROM sweeps WHERE name = :sweep))
        ON CONFLICT DO NOTHING""",
    "launched": """
        INSERT INTO transitions (job_id, source, target, who, host, why, at, token)
        SELECT id, NULL, 'queued', :who, :host, :why, {now}, 0 FROM jobs WHERE sweep = :sweep AND id > :after""",
    "accepted": """
        SELECT {ran_sha} AS git_sha, {ran_dirty} AS dirty, count(*) AS n
        FROM attempts JOIN jobs ON jobs.id = attempts.job_id AND jobs.token = attempts.token
        WHERE sweep = :sweep AND state IN ('done', 'pruned') GROUP BY 1, 2""",
    "claim": _CLAIM.replace("{of_pack}", ""),
    "claim_of": _CLAIM.replace("{of_pack}", "AND pack_key = :pack_key"),
    "claim_more": _CLAIM.replace("{of_pack}", "AND pack_key = :pack_key AND NOT {alone}"),
    "claimable": """
        SELECT count(*) AS n FROM (
            SELECT id FROM jobs WHERE {ready} AND pack_key = :pack_key AND NOT {alone} LIMIT :most
        ) AS waiting
        WHERE (
            SELECT priority FROM jobs WHERE {ready} AND pack_key = :pack_key AND NOT {alone}
            ORDER BY priority DESC, id LIMIT 1
        ) >= (SELECT priority FROM jobs WHERE {ready} AND {unskipped} ORDER BY priority DESC, id LIMIT 1)""",
    "peek": """
        SELECT config, sweep, pack_key, {alone} AS alone, priority FROM jobs WHERE {ready} AND {unskipped}
        ORDER BY priority DESC, id LIMIT 1""",
    "attempt": """
        INSERT INTO attempts (id, job_id, token, worker, host, pid, started_at, circumstances)
        SELECT {next_attempt}, id, token, :worker, :host, :pid, {now}, :circumstances FROM jobs WHERE id {among}
        RETURNING id, job_id""",
    "claimed": """
        INSERT INTO transitions (job_id, source, target, who, host, why, at, token)
        SELECT id, 'queued', 'running', :worker, :host, 'claimed', {now}, token FROM jobs WHERE id {among}""",
    "end_attempt": """
        UPDATE attempts SET ended_at = {now}, cause = :why, error = :error WHERE job_id = :job_id AND token = :token""",
    "transition": """
        INSERT INTO transitions (job_id, source, target, who, host, why, at, token)
        VALUES (:job_id, :source, :target, :who, :host, :why, {now}, :token)""",
    "left": """
        INSERT INTO transitions (job_id, source, target, who, host, why, at, token)
        SELECT job_id, 'running', :target, worker, host, :why, {now}, token FROM attempts
        WHERE job_id = :job_id AND token = :token""",
    "expired": """
        SELECT id, token, losses, retries, lease_until >= progress_at + stalled_after AS stalled FROM jobs
        WHERE state = 'running' AND lease_until < {now} ORDER BY lease_until LIMIT 1000 {skip_locked}""",
    "lock": "SELECT id, token, state, losses, retries, max_retries FROM jobs WHERE id {among} ORDER BY id {lock}",
    "progress": "UPDATE jobs SET progress_at = {now}, stalled_after = :stalled_after WHERE id {among}",
    "renew": "UPDATE jobs SET lease_until = {least}({now} + :lease, progress_at + stalled_after) WHERE id {among}",
    "epoch_row": """
        INSERT INTO epoch_rows (job_id, epoch, "values", seconds, token, at)
        VALUES (:job_id, :epoch, :values, :seconds, :token, {now})
        ON CONFLICT (job_id, epoch) DO UPDATE SET "values" = excluded."values", seconds = excluded.seconds,
            token = excluded.token, at = excluded.at""",
    "epoch": """
        UPDATE jobs SET losses = 0, seconds = seconds + CASE WHEN epoch < :epoch THEN :seconds ELSE 0 END,
            epoch = CASE WHEN epoch < :epoch THEN :epoch ELSE epoch END WHERE id = :job_id""",
    "best": "UPDATE jobs SET best_epoch = :epoch, val_error = :val_error, test_error = :test_error WHERE id = :job_id",
    "checkpoint": """
        UPDATE jobs SET previous = checkpoint, previous_sha = checkpoint_sha, checkpoint = :checkpoint,
            checkpoint_sha = :checkpoint_sha WHERE id = :job_id AND coalesce(checkpoint, '') <> :checkpoint""",
    "finish_at_once": FINISH_AT_ONCE,
    "finish": """
        UPDATE jobs SET state = 'done', diverged = :diverged, best_epoch = :best_epoch, val_error = :val_error,
            test_error = :test_error, seconds = :seconds, finished_at = {now}, lease_until = NULL, error = NULL
        WHERE id = :job_id""",
    "give_up": """
        UPDATE jobs SET state = :target, retries = :retries, losses = :losses, error = :line, finished_at = {now},
            lease_until = NULL WHERE id = :job_id""",
    "requeue": """
        UPDATE jobs SET state = 'queued', retries = :retries, losses = :losses, error = coalesce(:line, error), not_before = {now} + :delay,
            alone = alone OR :alone, lease_until = NULL WHERE id = :job_id""",
    # what two machines have blamed on themselves is the job's: of such a job nothing more is taken back
    "counted": f"""
        SELECT job_id, cause FROM attempts WHERE id {{among}} AND {_COUNTED} AND NOT EXISTS (
            SELECT 1 FROM attempts AS before
            WHERE before.job_id = attempts.job_id AND before.cause = :why AND before.host <> attempts.host
        )""",
    "stopped": "SELECT jobs.id FROM jobs JOIN sweeps ON sweeps.name = jobs.sweep WHERE jobs.id {among} AND sweeps.state = 'stopped'",
    "acquit": f"UPDATE attempts SET cause = :why WHERE id = :attempt AND {_COUNTED}",
    "refund": """
        UPDATE jobs SET state = 'queued', retries = {greatest}(retries - :retries, 0), losses = {greatest}(losses - :losses, 0),
            not_before = 0, error = NULL, finished_at = NULL, alone = alone AND :alone WHERE id = :job_id""",
    "counts": "SELECT state, count(*) AS n FROM jobs GROUP BY state",
    "unfinished": """
        SELECT (SELECT id FROM jobs WHERE state = 'queued' AND NOT paused ORDER BY priority DESC, id LIMIT 1) IS NOT NULL
            OR (SELECT id FROM jobs WHERE state = 'running' ORDER BY lease_until LIMIT 1) IS NOT NULL AS some""",
    "paused": """
        SELECT sweep, count(*) AS n FROM jobs
        WHERE state = 'queued' AND sweep IN (SELECT name FROM sweeps WHERE state = 'paused') GROUP BY sweep ORDER BY sweep""",
    "sweep_state": "SELECT state, priority FROM sweeps WHERE name = :sweep {lock}",
    "steer": "UPDATE sweeps SET state = :state WHERE name = :sweep",
    # all of them, as with priorities: a job that is running or failed now may be queued again
    "hold": """
        UPDATE jobs SET paused = :paused WHERE id IN (SELECT id FROM jobs WHERE sweep = :sweep ORDER BY id {lock})""",
    "unfinished_of": "SELECT id, state FROM jobs WHERE sweep = :sweep AND state IN ('queued', 'running')",
    "priority": "UPDATE sweeps SET priority = :priority WHERE name = :sweep",
    "priorities": """
        UPDATE jobs SET priority = :priority WHERE id IN (SELECT id FROM jobs WHERE sweep = :sweep ORDER BY id {lock})""",
    "cancel": _CANCEL,
    "stop": _CANCEL,  # the same for other states: see moves.COMMANDS
    "retry": """
        UPDATE jobs SET state = 'queued', retries = 0, losses = 0, not_before = 0, error = NULL, finished_at = NULL
        WHERE id {among}""",
    "prune": """
        UPDATE jobs SET state = 'pruned', finished_at = {now}, lease_until = NULL, error = NULL WHERE id = :job_id""",
    # One worker at a time proposes for a sweep; a turn that ran out may be taken over.
    "take_turn": """
        UPDATE sweeps SET proposer = :turn, proposer_until = {now} + :lease
        WHERE name = :sweep AND (proposer IS NULL OR proposer = :turn OR proposer_until < {now}) RETURNING source""",
    "end_turn": "UPDATE sweeps SET proposer = NULL, proposer_until = NULL WHERE name = :sweep AND proposer = :turn",
    "turn": """
        SELECT priority, (SELECT count(*) FROM proposals WHERE sweep = :sweep) AS proposed FROM sweeps
        WHERE name = :sweep AND proposer = :turn AND source = :source AND state = 'active' {lock}""",
    "continued": """
        SELECT min(number) AS number, jobs.trial_key, min(config) AS config, min(pack_key) AS pack_key FROM proposals
        JOIN jobs ON jobs.sweep = proposals.sweep AND jobs.trial_key = proposals.trial_key
        WHERE proposals.sweep = :sweep GROUP BY jobs.trial_key ORDER BY number""",
    "proposal": "INSERT INTO proposals (sweep, number, trial_key, at) VALUES (:sweep, :number, :trial_key, {now})",
    "told": "UPDATE proposals SET told = :told WHERE sweep = :sweep AND number = :number",
    "exhausted": """
        UPDATE sweeps SET state = 'stopped' WHERE name = :sweep AND proposer = :turn AND state = 'active'
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE sweep = :sweep AND state = 'queued')""",
    "newest": "SELECT coalesce(max(id), 0) AS id FROM jobs WHERE sweep = :sweep",
    # What was seen in training adds up beside what was measured, which a later measurement replaces.
    "speed": """
        INSERT INTO speeds (device, cost_key, lanes, way, seen, seconds, low, high, epochs, memory, at)
        VALUES (:device, :cost_key, :lanes, :way, :seen, :seconds, :low, :high, :epochs, :memory, {now})
        ON CONFLICT (device, cost_key, lanes, way, seen) DO UPDATE SET
            seconds = CASE WHEN excluded.seen THEN
                (speeds.seconds * speeds.epochs + excluded.seconds * excluded.epochs) / (speeds.epochs + excluded.epochs)
                ELSE excluded.seconds END,
            low = CASE WHEN excluded.seen THEN {least}(speeds.low, excluded.low) ELSE excluded.low END,
            high = CASE WHEN excluded.seen THEN {greatest}(speeds.high, excluded.high) ELSE excluded.high END,
            epochs = speeds.epochs + excluded.epochs, memory = {greatest}(speeds.memory, excluded.memory), at = excluded.at""",
    "snapshot": "INSERT INTO snapshots (sha, kind, text, at) VALUES (:sha, :kind, :text, {now}) ON CONFLICT DO NOTHING",
    "forget": "DELETE FROM epoch_rows WHERE job_id {among}",
    "rerun": """
        UPDATE jobs SET state = 'queued', retries = 0, losses = 0, not_before = 0, alone = false, epoch = 0, best_epoch = NULL,
            val_error = NULL, test_error = NULL, diverged = false, seconds = 0, checkpoint = NULL, checkpoint_sha = NULL,
            previous = NULL, previous_sha = NULL, error = NULL, started_at = NULL, finished_at = NULL WHERE id {among}""",
}
# The same for a worker that leaves some sweeps to others: few do, and the others are not to pay for it.
TEMPLATES |= {
    f"{name}_left": TEMPLATES[name].replace("{ready}", "{ready} AND {not_left}")
    for name in ("claim", "claim_of", "claim_more", "claimable", "peek")
}
