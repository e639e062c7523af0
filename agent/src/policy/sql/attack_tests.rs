//! Each attack with a benign twin: the same shape, and nothing in it.

use super::*;

use Dialect::{Generic, Mysql, Postgres, Sqlite};

fn rules(dialect: Dialect) -> SqlRules {
    SqlRules {
        dialect,
        allowed_operations: Some(vec!["SELECT".into(), "EXPLAIN".into()]),
        allowed_tables: Some(vec!["users".into(), "products".into()]),
        max_rows: Some(100),
        ..SqlRules::default()
    }
}

#[track_caller]
fn denied_by(dialect: Dialect, limit: &str, sql: &str) {
    match judge(&rules(dialect).compile().unwrap(), sql) {
        Ok(facts) => panic!("{dialect:?} allowed {sql}: {facts:?}"),
        Err(denial) => assert_eq!(denial.limit, limit, "{dialect:?} {sql}: {denial}"),
    }
}

#[track_caller]
fn allowed(dialect: Dialect, sql: &str) -> SqlFacts {
    match judge(&rules(dialect).compile().unwrap(), sql) {
        Ok(facts) => facts,
        Err(denial) => panic!("{dialect:?} denied {sql}: {denial}"),
    }
}

#[test]
fn writes_and_locks_are_found_wherever_they_stand() {
    let operations = "allowed_operations";
    for sql in [
        "WITH x AS (DELETE FROM users RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO users VALUES (1) RETURNING id) SELECT * FROM x",
        "WITH x AS (WITH y AS (UPDATE users SET a = 1 RETURNING *) SELECT * FROM y) TABLE x",
        "WITH x AS (MERGE INTO users u USING products p ON true WHEN MATCHED THEN DELETE) SELECT 1",
        "SELECT * INTO users FROM products",
        "SELECT * INTO TEMP users FROM products",
        "SELECT * FROM users FOR UPDATE",
        "SELECT * FROM users FOR NO KEY UPDATE",
        "SELECT * FROM users FOR KEY SHARE SKIP LOCKED",
        "SELECT * FROM (SELECT * FROM users FOR SHARE) x",
        "EXPLAIN ANALYZE DELETE FROM users",
        "EXPLAIN (ANALYZE, COSTS OFF) UPDATE users SET a = 1",
        "EXPLAIN (ANALYZE true) INSERT INTO users VALUES (1)",
        "EXPLAIN ANALYZE WITH x AS (DELETE FROM users RETURNING *) SELECT 1",
        "EXPLAIN (ANALYZE) SELECT * FROM users FOR UPDATE",
        "EXPLAIN DELETE FROM users",
        "EXPLAIN ANALYZE CREATE TABLE users AS SELECT 1",
        "EXPLAIN ANALYZE EXECUTE q",
        "PREPARE q AS DELETE FROM users",
        "SET ROLE postgres; ",
        "SET search_path = evil",
        "COPY users TO '/tmp/x'",
        "COPY (SELECT * FROM users) TO STDOUT",
        "CALL f()",
        "BEGIN",
        "LISTEN x",
        "TRUNCATE users",
        "LOCK TABLE users",
        "DROP TABLE users",
        "CREATE TABLE users (a int)",
        "CREATE VIEW users AS SELECT 1",
        "VACUUM users",
    ] {
        let denial = judge(&rules(Postgres).compile().unwrap(), sql).unwrap_err();
        assert!(matches!(denial.limit, "allowed_operations" | "dialect"), "{sql}: {denial}");
    }
    denied_by(Postgres, operations, "WITH x AS (DELETE FROM users RETURNING *) SELECT * FROM x");
    for sql in [
        "WITH x AS (SELECT * FROM users) SELECT * FROM x",
        "WITH x AS (WITH y AS (SELECT * FROM users) SELECT * FROM y) TABLE x",
        "SELECT 'FOR UPDATE', \"delete\" FROM users",
        "SELECT * FROM (SELECT * FROM users) x",
        "EXPLAIN SELECT * FROM users",
        "EXPLAIN (ANALYZE, COSTS OFF) SELECT * FROM users",
        "EXPLAIN SELECT * FROM users FOR UPDATE",
        "VALUES (1), (2)",
        "TABLE users",
    ] {
        allowed(Postgres, sql);
    }
}

#[test]
fn tables_are_found_in_every_place() {
    for sql in [
        "SELECT * FROM secrets",
        "SELECT * FROM ONLY secrets",
        "SELECT * FROM ONLY (secrets)",
        "SELECT * FROM users, secrets",
        "SELECT * FROM users JOIN secrets USING (id) AS x",
        "SELECT * FROM users u JOIN (products p JOIN secrets s ON true) ON true",
        "SELECT (SELECT a FROM secrets) FROM users",
        "SELECT * FROM users WHERE id IN (SELECT id FROM secrets)",
        "SELECT * FROM users WHERE EXISTS (TABLE secrets)",
        "SELECT * FROM users ORDER BY (SELECT 1 FROM secrets)",
        "SELECT * FROM users LIMIT (SELECT 1 FROM secrets)",
        "SELECT * FROM users UNION SELECT * FROM secrets",
        "SELECT * FROM users UNION ALL TABLE secrets",
        "SELECT CASE WHEN true THEN (SELECT 1 FROM secrets) END",
        "SELECT count(*) FILTER (WHERE EXISTS (SELECT FROM secrets)) FROM users",
        "SELECT sum(a) OVER (ORDER BY (SELECT 1 FROM secrets)) FROM users",
        "SELECT ARRAY(SELECT a FROM secrets)",
        "SELECT json_array(SELECT a FROM secrets)",
        "SELECT a FROM users GROUP BY a HAVING (SELECT true FROM secrets)",
        "SELECT * FROM users, LATERAL (SELECT * FROM secrets) x",
        "SELECT * FROM (VALUES ((SELECT 1 FROM secrets))) x",
        "SELECT * FROM pg_catalog.pg_shadow",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM \"Users\"",
        "SELECT * FROM other.users",
        "SELECT * FROM \"public.users\"",
        // A name that a query gives holds only where the query does.
        "SELECT * FROM (WITH secrets AS (SELECT 1) SELECT * FROM secrets) x, secrets",
        "WITH a AS (SELECT * FROM secrets), secrets AS (SELECT 1) SELECT * FROM a",
        "WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets",
        "WITH secrets AS (SELECT 1) SELECT * FROM public.secrets",
        "WITH \"Secrets\" AS (SELECT 1) SELECT * FROM secrets",
        // Words of clauses as names of tables.
        "SELECT rows FROM (secrets CROSS JOIN users)",
        "SELECT 1 FROM (SELECT 1) cycle, secrets JOIN users USING (id)",
        "SELECT * FROM xmltable('/a' PASSING (SELECT a FROM secrets) COLUMNS b int)",
    ] {
        let denial = judge(&rules(Postgres).compile().unwrap(), sql).unwrap_err();
        assert!(matches!(denial.limit, "allowed_tables" | "dialect"), "{sql}: {denial}");
    }
    denied_by(Postgres, "allowed_tables", "SELECT rows FROM (secrets CROSS JOIN users)");
    denied_by(Postgres, "allowed_tables", "SELECT * FROM ONLY (secrets)");
    for sql in [
        "SELECT * FROM ONLY users",
        "SELECT * FROM Users u JOIN products p USING (id) AS x",
        "SELECT * FROM public.users",
        "WITH secrets AS (SELECT * FROM users) SELECT * FROM secrets",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t",
        "WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
        "SELECT secrets.id FROM users AS secrets",
        "SELECT * FROM generate_series(1, 3) secrets",
    ] {
        allowed(Postgres, sql);
    }
    allowed(Sqlite, "WITH t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t");
    denied_by(Mysql, "allowed_tables", "WITH x AS (SELECT 1) SELECT * FROM X");
    denied_by(Mysql, "allowed_tables", "SELECT * FROM Users");
    denied_by(Mysql, "allowed_tables", "SELECT * FROM other.users");
    denied_by(Sqlite, "allowed_tables", "SELECT * FROM sqlite_master");
    denied_by(Sqlite, "allowed_tables", "SELECT * FROM 'secrets'");
    allowed(Sqlite, "SELECT * FROM [Users], `products`, main.users");
}

#[test]
fn functions_are_allowed_by_name_only() {
    let functions = "allowed_functions";
    for sql in [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT PG_CATALOG.pg_read_file('/etc/passwd')",
        "SELECT \"pg_read_file\"('/etc/passwd')",
        "SELECT * FROM pg_ls_dir('/')",
        "SELECT * FROM users, LATERAL pg_ls_dir(users.name) x",
        "SELECT * FROM ROWS FROM (generate_series(1, 2), pg_ls_dir('/')) AS x(a, b)",
        "SELECT lower(pg_read_file('/etc/passwd'))",
        "SELECT lo_export(1, '/tmp/x')",
        "SELECT nextval('s')",
        "SELECT pg_sleep(10)",
        "SELECT set_config('a', 'b', false)",
        "SELECT dblink_exec('host=evil', 'DROP TABLE x')",
        "SELECT query_to_xml('SELECT * FROM secrets', true, true, '')",
        "SELECT table_to_xml('secrets', true, true, '')",
        "SELECT ts_stat('SELECT a FROM secrets')",
        "SELECT my_function()",
        "SELECT other.lower('x')",
        "SELECT * FROM users ORDER BY pg_advisory_lock(1)",
        "SELECT count(*) OVER (PARTITION BY pg_sleep(1)) FROM users",
        "SELECT trim(both pg_read_file('a') from 'b')",
        "SELECT extract(year from my_date())",
        "SELECT * FROM users TABLESAMPLE bernoulli(setseed(1))",
        "SELECT * FROM users LIMIT nextval('s')",
        "SELECT json_value('{}', '$' DEFAULT nextval('s') ON EMPTY)",
        "SELECT xmlexists('//a' PASSING pg_read_file('/a')::xml)",
        "SELECT f(VARIADIC ARRAY[1])",
        // A function of one argument may be written like a column.
        "SELECT ('/etc/passwd'::text).pg_read_file",
        "SELECT t.pg_read_file FROM unnest(ARRAY['/etc/passwd']) t",
        "SELECT (ARRAY['/etc/passwd'])[1].pg_read_file",
        "SELECT t.\"pg_read_file\" FROM unnest(ARRAY['/etc/passwd']) t",
    ] {
        let denial = judge(&rules(Postgres).compile().unwrap(), sql).unwrap_err();
        assert!(matches!(denial.limit, "allowed_functions" | "dialect"), "{sql}: {denial}");
    }
    denied_by(Postgres, functions, "SELECT ('/etc/passwd'::text).pg_read_file");
    denied_by(Postgres, functions, "SELECT t.pg_read_file FROM unnest(ARRAY['/etc/passwd']) t");
    for (dialect, sql) in [
        (Mysql, "SELECT load_file('/etc/passwd')"),
        (Mysql, "SELECT LOAD_FILE ('/etc/passwd')"),
        (Mysql, "SELECT sleep(10) FROM users"),
        (Mysql, "SELECT benchmark(1000000, md5('a'))"),
        (Mysql, "SELECT get_lock('a', 1)"),
        (Mysql, "SELECT sys_exec('id')"),
        (Sqlite, "SELECT load_extension('/tmp/x')"),
        (Sqlite, "SELECT readfile('/etc/passwd')"),
        (Sqlite, "SELECT * FROM fsdir('/etc')"),
        (Sqlite, "SELECT writefile('/tmp/x', 'y')"),
        (Sqlite, "SELECT fts3_tokenizer('a', x'00')"),
        (Generic, "SELECT load_file('/etc/passwd')"),
        (Generic, "SELECT pg_read_file('/etc/passwd')"),
    ] {
        denied_by(dialect, functions, sql);
    }
    for sql in [
        "SELECT lower(name), Count(*), pg_catalog.upper('x') FROM users GROUP BY 1",
        "SELECT jsonb_path_query('[1]', '$[*]'), to_char(now(), 'YYYY'), current_date",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM users",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM users",
        "SELECT t.name, (t).age FROM users t",
        "SELECT xmlexists('//a' PASSING '<a/>'::xml), format('%s', VARIADIC ARRAY[1])",
    ] {
        allowed(Postgres, sql);
    }
    allowed(Mysql, "SELECT IFNULL(name, 'x'), DATE_FORMAT(NOW(), '%Y'), LEFT(name, 3) FROM users");
    allowed(Sqlite, "SELECT substr(name, 1), json_extract(a, '$.b'), strftime('%Y') FROM users");
}

#[test]
fn texts_that_readers_read_differently_are_denied() {
    for (dialect, sql, twin) in [
        // The escapes of the first part hold for the second; what follows is code.
        (
            Postgres,
            "SELECT E'a'\n'\\'' || pg_read_file('/a') --'",
            "SELECT 'a'\n'b' || lower('/a') --'",
        ),
        // The comment begins inside the operator.
        (Postgres, "SELECT 1 +-- '\n + pg_sleep(1) --'", "SELECT 1 + -- '\n + length('a') --'"),
        (Postgres, "SELECT U&\"\\0070g_sleep\"(1)", "SELECT U&'\\0061'"),
        (Postgres, "SELECT * FROM users\u{a0}x", "SELECT * FROM users x"),
        (Postgres, "SELECT 1 --\rDELETE FROM users", "SELECT 1 --\r\n"),
        (Postgres, "SELECT $1$a$, pg_sleep(1) --$a$", "SELECT $1, $a$b$a$"),
        (Postgres, "SELECT '\\'; DELETE FROM users; --'", "SELECT '\\; DELETE FROM users; --'"),
        (Mysql, "SELECT 1 /*!50000 , sleep(1) */", "SELECT 1 /* ! */"),
        (Mysql, "SELECT 1 /*M!100000 , sleep(1) */", "SELECT 1 /* M */"),
        (Mysql, "SELECT /*+ SET_VAR(a = 1) */ 1", "SELECT /* SET_VAR(a = 1) */ 1"),
        (Mysql, "SELECT @a := 1", "SELECT @a = 1"),
        (Mysql, "SELECT * FROM users INTO OUTFILE '/tmp/x'", "SELECT * FROM users"),
        (Mysql, "SELECT * INTO DUMPFILE '/tmp/x' FROM users", "SELECT 'INTO DUMPFILE' FROM users"),
        (Sqlite, "SELECT * FROM users; ATTACH 'x' AS y", "SELECT * FROM users;"),
        (Generic, "SELECT '\\' , sleep(1) -- '", "SELECT 'x' -- '"),
        (Generic, "SELECT 1 --1\n, sleep(1)", "SELECT 1 -- 1\n"),
        (Generic, "SELECT 1 # 'a\n", "SELECT 1 -- 'a\n"),
        (Generic, "SELECT $$ , sleep(1) , $$", "SELECT ' , sleep(1) , '"),
        (Generic, "SELECT 1 /* /* */ , sleep(1) /* */ */", "SELECT 1 /* */ , 1 /* */"),
        (Generic, "SELECT r'\\' , 'sleep(1)'", "SELECT 'r' , 'sleep(1)'"),
        (Postgres, "SELECT 1\0", "SELECT 1"),
        (Postgres, "SELECT 'a", "SELECT 'a'"),
        (Postgres, "", "SELECT FROM users"),
        (Postgres, "SELECT 1; SELECT 2", "SELECT 1;"),
    ] {
        let decision = judge(&rules(dialect).compile().unwrap(), sql);
        assert!(decision.is_err(), "{dialect:?} allowed {sql}: {decision:?}");
        allowed(dialect, twin);
    }
}

#[test]
fn rows_are_limited_where_a_query_says_how_many() {
    let limit = "max_rows";
    for (dialect, sql) in [
        (Postgres, "SELECT * FROM users LIMIT 101"),
        (Postgres, "SELECT * FROM users LIMIT ALL"),
        (Postgres, "SELECT * FROM users LIMIT NULL"),
        (Postgres, "SELECT * FROM users LIMIT 50 + 51"),
        (Postgres, "SELECT * FROM users LIMIT $1"),
        (Postgres, "SELECT * FROM users FETCH FIRST 101 ROWS ONLY"),
        (Postgres, "SELECT * FROM users ORDER BY 1 FETCH FIRST 5 ROWS WITH TIES"),
        (Postgres, "(SELECT * FROM users LIMIT 101)"),
        (Mysql, "SELECT * FROM users LIMIT 5, 101"),
        (Sqlite, "SELECT * FROM users LIMIT -1"),
        (Postgres, "EXPLAIN ANALYZE SELECT * FROM users LIMIT 99999999999999999999"),
    ] {
        denied_by(dialect, limit, sql);
    }
    for (dialect, sql, rows) in [
        (Postgres, "SELECT * FROM users LIMIT 100", Some(100)),
        (Postgres, "SELECT * FROM users LIMIT 10 OFFSET 5000", Some(10)),
        (Postgres, "SELECT * FROM users FETCH FIRST ROW ONLY", Some(1)),
        (Postgres, "SELECT * FROM (SELECT * FROM users LIMIT 5000) x LIMIT 5", Some(5)),
        (Mysql, "SELECT * FROM users LIMIT 5000, 10", Some(10)),
        (Postgres, "SELECT * FROM users", None),
    ] {
        assert_eq!(allowed(dialect, sql).limit, rows, "{sql}");
    }
}

#[test]
fn what_a_policy_allows_by_name_is_allowed() {
    let rules = |operations: &[&str]| SqlRules {
        dialect: Postgres,
        allowed_operations: Some(operations.iter().map(ToString::to_string).collect()),
        ..SqlRules::default()
    };
    for (operations, sql, operation, tables) in [
        (&["INSERT"][..], "INSERT INTO users VALUES (1)", "INSERT", "users"),
        (&["INSERT", "SELECT"], "INSERT INTO a SELECT * FROM b", "INSERT", "a b"),
        (
            &["UPDATE", "SELECT"],
            "WITH x AS (UPDATE a SET b = 1 RETURNING *) TABLE x",
            "UPDATE",
            "a",
        ),
        (&["UPDATE"], "UPDATE ONLY a SET b = c + 1 WHERE d RETURNING a.*", "UPDATE", "a"),
        (&["DELETE", "SELECT"], "DELETE FROM a USING b WHERE a.c = b.c", "DELETE", "a b"),
        (&["SELECT", "SELECT FOR UPDATE"], "TABLE a FOR UPDATE", "SELECT FOR UPDATE", "a"),
        (&["COPY"], "COPY a TO STDOUT", "COPY", "a"),
        (&["COPY FILE"], "COPY a TO '/tmp/x'", "COPY FILE", "a"),
        (&["SHOW"], "SHOW search_path", "SHOW", ""),
        (&["SET"], "SET search_path = a", "SET", ""),
        (&["EXECUTE"], "EXECUTE q(1)", "EXECUTE", ""),
        (&["CREATE TABLE"], "CREATE TABLE a (b int REFERENCES c)", "CREATE TABLE", "a c"),
        (&["CREATE TABLE"], "CREATE TABLE a (LIKE d)", "CREATE TABLE", "a d"),
        (&["ALTER TABLE"], "ALTER TABLE a ADD COLUMN b int", "ALTER TABLE", "a"),
        (&["DROP TABLE"], "DROP TABLE a, b.c", "DROP TABLE", "a b.c"),
        (&["TRUNCATE"], "TRUNCATE a", "TRUNCATE", "a"),
    ] {
        let facts = judge(&rules(operations).compile().unwrap(), sql).unwrap();
        assert_eq!(
            (facts.operation.as_str(), facts.tables.join(" ").as_str()),
            (operation, tables)
        );
        assert!(judge(&rules(&["EXPLAIN"]).compile().unwrap(), sql).is_err(), "{sql}");
    }
    for (operations, sql) in [
        (&["COPY", "COPY FILE"][..], "COPY a FROM PROGRAM 'id'"),
        (&["INSERT"], "INSERT INTO a SELECT * FROM b"),
        (&["SET"], "SET ROLE postgres"),
        (&["CREATE TABLE"], "CREATE TABLE a (b int DEFAULT nextval('s'))"),
        (&["CREATE TABLE"], "CREATE TABLE a AS SELECT * FROM b"),
        (&["CREATE TABLE"], "CREATE TABLE a (b int, LIKE c)"),
        (&["CREATE VIEW", "SELECT"], "CREATE VIEW a AS SELECT pg_read_file('/a')"),
        (&["EXPLAIN", "PREPARE"], "EXPLAIN PREPARE a AS DELETE FROM b"),
    ] {
        assert!(judge(&rules(operations).compile().unwrap(), sql).is_err(), "allowed {sql}");
    }
    let mut hidden = rules(&["EXECUTE"]);
    hidden.denied_tables = vec!["secrets".into()];
    assert!(judge(&hidden.compile().unwrap(), "EXECUTE q(1)").is_err());
}

#[test]
fn functions_of_users_are_a_choice() {
    let mut rules = rules(Postgres);
    let decide = |rules: &SqlRules, sql: &str| judge(&rules.compile().unwrap(), sql).is_ok();
    assert!(!decide(&rules, "SELECT total_of(1)"));
    rules.allowed_functions = vec!["Total_of".into()];
    assert!(decide(&rules, "SELECT total_of(1)"));
    assert!(!decide(&rules, "SELECT other.total_of(1)"));
    rules.user_functions = UserFunctions::Allow;
    assert!(decide(&rules, "SELECT other.mine(1)"));
    for sql in [
        "SELECT pg_read_file('/a')",
        "SELECT public.dblink('a', 'b')",
        "SELECT pg_made_up()",
        "SELECT lo_export(1, '/a')",
        "SELECT crosstab('SELECT * FROM secrets')",
        "SELECT public.nextval('s')",
        "SELECT \"PG_sleep\"(1)",
    ] {
        assert!(!decide(&rules, sql), "allowed {sql}");
    }
}

#[test]
fn pragmas_only_tell() {
    let rules = SqlRules {
        dialect: Sqlite,
        allowed_operations: Some(vec!["PRAGMA".into(), "SELECT".into()]),
        allowed_tables: Some(vec!["users".into()]),
        ..SqlRules::default()
    }
    .compile()
    .unwrap();
    for sql in ["PRAGMA table_info('users')", "PRAGMA user_version", "PRAGMA main.page_count"] {
        assert!(judge(&rules, sql).is_ok(), "denied {sql}: {:?}", judge(&rules, sql));
    }
    for sql in [
        "PRAGMA table_info('secrets')",
        "PRAGMA writable_schema = 1",
        "PRAGMA user_version = 5",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint",
        "SELECT * FROM fsdir WHERE path = '/etc'",
    ] {
        assert!(judge(&rules, sql).is_err(), "allowed {sql}");
    }
}
