//! A short run of every fuzz target on mutated seeds, the same each time. For a long one:
//! `FUZZ_RUNS=1000000 cargo test --release -p warrantd-fuzz`.

use warrantd_fuzz::TARGETS;

/// Texts near the edges of what the targets read.
const SEEDS: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"path":"a"}}}"#,
    r#"{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"\ud83d\ude00"}]}}"#,
    r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{"n":1e3},"tools":[{"name":"a"},{"name":"bc", "description":"\u202e"} , 7,[]],"nextCursor":"z"}}"#,
    "actors:\n  - id: a\n    allowed_tools: [x]\nconstraints:\n  x: {allowed_paths: ['a/**'], max_rows: 3}\n",
    "network:\n  allow:\n    - {cidr: 10.0.0.0/8, ports: [1]}\neffects: {on_exceeded: report}\n",
    "/srv/data/a/../b%2e%2e%2f..\\.env",
    "data/./x//y",
    "https://user@example.com:443/a/../b?c#d",
    "http://0x7f.1/http://[::ffff:127.0.0.1]/",
    "WITH a AS (SELECT * FROM users LIMIT 3) SELECT count(*) FROM a JOIN users u ON u.id = 1",
    "SELECT '/*' || $x$ ; $x$ -- ;\n FROM users; DELETE FROM users",
    r#"{"apiKey":"sk_live_abcdefghijklmnop","mail":"a.b@example.com","card":"4111 1111 1111 1111"}"#,
    "\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01",
    "\0\x07\x01\0\0\x01\0\0\0\0\0\x01\x01a\x01b\0\0\x1c\0\x01\0\0\x29\x04\0\0\0\0\0\0\0",
    "network:\n  allow: [{host: '*.a.b', ports: [1]}]\n  resolvers: [192.0.2.1]\n  unix: [/a]\n",
    "Host:localhost\nAccept:*/*\nContent-Type:application/json\nMCP-Protocol-Version:2026-07-28\nMcp-Method:tools/call\nMcp-Name:=?base64?YQ==?=\nMcp-Param-Path:b\n\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":{\"path\":\"b\"},\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{}}}}",
    "Host:[::1]:80\nOrigin:http://[::1]:80\nAuthorization:Bearer k\nAccept:application/json, text/event-stream\nContent-Type:application/json\n\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
    "id: 1\nevent: message\nretry: 10\r\ndata: {\"jsonrpc\":\ndata: \"2.0\"}\r\r: ping\n\n",
    "\u{feff}data\n\ndata: a\rdata:b\r\n\r\nid\0\n\n",
    "\u{83}{\"a\":1}\n\r\n\n[1]\r\r\n0123456789012345678901234567890123456789\n0123456789012345678901234567890123456789\r\ncut",
    "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
];

/// Runs of each target, unless `FUZZ_RUNS` says otherwise.
const RUNS: usize = 3_000;

#[test]
fn no_target_panics() {
    let runs = std::env::var("FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (name, target) in TARGETS {
        for run in 0..runs {
            let text = mutated(&mut random, run);
            let caught = std::panic::catch_unwind(|| target(&text));
            assert!(caught.is_ok(), "{name} panicked on {:?}", String::from_utf8_lossy(&text));
        }
    }
}

/// A seed with some bytes changed, parts cut out, repeated or joined with another seed's.
fn mutated(random: &mut Random, run: usize) -> Vec<u8> {
    let seed = |random: &mut Random| SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
    let mut text = if run < SEEDS.len() { SEEDS[run].as_bytes().to_vec() } else { seed(random) };
    for _ in 0..random.below(6) {
        let at = random.below(text.len().max(1));
        match random.below(5) {
            0 if !text.is_empty() => text[at] = random.byte(),
            1 => text.truncate(at),
            2 => text.insert(at.min(text.len()), random.byte()),
            3 => text = [&text[..at.min(text.len())], &seed(random)[..]].concat(),
            _ => {
                let part = text[at.min(text.len())..].to_vec();
                text.extend_from_slice(&part);
            }
        }
        text.truncate(4096);
    }
    text
}

/// xorshift64* (Vigna, 2016): the same sequence each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % most
    }

    /// Often one of the bytes that grammars care about.
    fn byte(&mut self) -> u8 {
        const EDGES: &[u8] = b"\"'\\/{}[]:,.;%-@# \n\0\xff";
        if self.below(2) == 0 {
            EDGES[self.below(EDGES.len())]
        } else {
            self.next().to_le_bytes()[0]
        }
    }
}
