use std::fs;

use super::*;

/// Writes BTF as pahole would.
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0] }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        offset
    }

    fn words(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    /// A type without a body.
    fn plain(&mut self, kind: u32, name: &str, size_or_type: u32) {
        let name = self.string(name);
        self.words(&[name, kind << 24, size_or_type]);
    }

    fn int(&mut self) {
        self.plain(1, "int", 4);
        self.words(&[32]);
    }

    /// A struct or union; members are (name, type, bit offset).
    fn aggregate(&mut self, kind: u32, name: &str, bitfields: bool, members: &[(&str, u32, u32)]) {
        let name = self.string(name);
        let count = u32::try_from(members.len()).unwrap();
        self.words(&[name, kind << 24 | count | u32::from(bitfields) << 31, 64]);
        for &(name, kind, offset) in members {
            let name = self.string(name);
            self.words(&[name, kind, offset]);
        }
    }

    /// The file, with a header of 24 bytes, or of 32 when there is a layout table.
    fn build(&self, layout: &[u8]) -> Vec<u8> {
        let length = |part: &[u8]| u32::try_from(part.len()).unwrap();
        let header = if layout.is_empty() { 24 } else { 32 };
        let mut data = MAGIC.to_ne_bytes().to_vec();
        data.extend([1, 0]);
        let (types, strings) = (length(&self.types), length(&self.strings));
        for word in [header, 0, types, types, strings] {
            data.extend(word.to_ne_bytes());
        }
        if !layout.is_empty() {
            data.extend((types + strings).to_ne_bytes());
            data.extend(length(layout).to_ne_bytes());
        }
        data.extend(&self.types);
        data.extend(&self.strings);
        data.extend(layout);
        data
    }
}

/// int; struct inner { int a; int b; }; union { inner (anonymous); int c; }; typedef; struct outer.
fn sample() -> Builder {
    let mut builder = Builder::new();
    builder.int();
    builder.aggregate(KIND_STRUCT, "", false, &[("a", 1, 0), ("b", 1, 32)]);
    builder.aggregate(KIND_UNION, "", false, &[("", 2, 0), ("c", 1, 0)]);
    builder.aggregate(KIND_STRUCT, "named", false, &[("x", 1, 96)]);
    builder.plain(KIND_TYPEDEF, "named_t", 4);
    builder.plain(KIND_CONST, "", 5);
    builder.aggregate(
        KIND_STRUCT,
        "outer",
        true,
        &[("first", 1, 0), ("bits", 1, 3 << 24 | 32), ("", 3, 64), ("inside", 6, 128)],
    );
    builder
}

#[test]
fn finds_members_of_anonymous_and_qualified_types() {
    let btf = Btf::parse(sample().build(&[])).unwrap();
    assert_eq!(btf.offset("outer.first"), Some(0));
    assert_eq!(btf.offset("outer.a"), Some(8));
    assert_eq!(btf.offset("outer.b"), Some(12));
    assert_eq!(btf.offset("outer.c"), Some(8));
    assert_eq!(btf.offset("outer.inside"), Some(16));
    assert_eq!(btf.offset("outer.inside.x"), Some(28));
    assert_eq!(btf.size("outer"), Some(64));
    assert_eq!(btf.size("none"), None);
}

#[test]
fn guesses_nothing() {
    let btf = Btf::parse(sample().build(&[])).unwrap();
    for missing in
        ["outer.bits", "outer.nothing", "outer.first.x", "outer.", "none.a", "outer", "out.first"]
    {
        assert_eq!(btf.offset(missing), None, "{missing}");
    }
}

#[test]
fn structs_of_one_name_must_agree() {
    let mut builder = sample();
    builder.aggregate(KIND_STRUCT, "named", false, &[("x", 1, 96), ("y", 1, 128)]);
    let btf = Btf::parse(builder.build(&[])).unwrap();
    assert_eq!(btf.offset("named.x"), Some(12));
    assert_eq!(btf.offset("named.y"), None);
    builder.aggregate(KIND_STRUCT, "named", false, &[("x", 1, 64)]);
    let btf = Btf::parse(builder.build(&[])).unwrap();
    assert_eq!(btf.offset("named.x"), None);
}

#[test]
fn unknown_kinds_need_the_layout_table() {
    let mut builder = Builder::new();
    builder.int();
    builder.words(&[0, 20 << 24 | 2, 0, 1, 2, 3]);
    builder.aggregate(KIND_STRUCT, "after", false, &[("x", 1, 32)]);
    assert!(Btf::parse(builder.build(&[])).is_none());
    let mut layout = vec![0; 21 * 4];
    (layout[20 * 4], layout[20 * 4 + 1]) = (4, 4);
    let btf = Btf::parse(builder.build(&layout)).unwrap();
    assert_eq!(btf.offset("after.x"), Some(4));
}

#[test]
fn cut_files_are_refused_without_panic() {
    let whole = sample().build(&[]);
    for length in 0..whole.len() {
        assert!(Btf::parse(whole[..length].to_vec()).is_none(), "{length}");
    }
}

#[test]
fn damaged_files_do_not_panic() {
    let whole = sample().build(&[0; 4]);
    for index in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[index] = value;
            if let Some(btf) = Btf::parse(damaged) {
                let _ = btf.offset("outer.inside.x");
            }
        }
    }
}

#[test]
fn types_that_contain_themselves_end() {
    let mut builder = Builder::new();
    builder.aggregate(KIND_STRUCT, "loop", false, &[("", 1, 0)]);
    builder.plain(KIND_TYPEDEF, "t", 2);
    builder.aggregate(KIND_STRUCT, "typedef_loop", false, &[("m", 2, 0)]);
    let btf = Btf::parse(builder.build(&[])).unwrap();
    assert_eq!(btf.offset("loop.x"), None);
    assert_eq!(btf.offset("typedef_loop.m.x"), None);
}

/// Facts that every supported kernel guarantees: `comm` is 16 bytes from something, `qstr` begins with
/// hash and length on little-endian, `path` is two pointers.
#[test]
fn the_running_kernel_makes_sense() {
    if !fs::exists(PATH).unwrap() {
        // A build host without BTF; kernel tests say that they cannot run there.
        return;
    }
    let btf = Btf::parse(fs::read(PATH).unwrap()).unwrap();
    assert_eq!(btf.offset("path.mnt"), Some(0));
    assert_eq!(btf.offset("path.dentry"), Some(8));
    assert_eq!(btf.offset("qstr.len"), Some(4));
    assert_eq!(btf.offset("qstr.name"), Some(8));
    assert!(btf.offset("task_struct.tgid").unwrap() > btf.offset("task_struct.pid").unwrap());
    assert_eq!(btf.offset("task_struct.no_such_member"), None);
}
