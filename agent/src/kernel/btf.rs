//! Member look-up in the kernel's type information (BTF).
//!
//! Follows Documentation/bpf/btf.rst. All reads are bounds-checked: a file that ends early or points
//! outside itself is an error, never a guess.

use std::fs;

use super::KernelError;

const PATH: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
/// How deep anonymous members and typedefs may nest before the file counts as malformed.
const MAX_DEPTH: u32 = 32;

const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_TYPE_TAG: u32 = 18;

/// The kernel's types, indexed.
pub(super) struct Btf {
    data: Vec<u8>,
    strings: std::ops::Range<usize>,
    /// Where each type begins in `data`; type ids count from 1.
    types: Vec<usize>,
    /// Ids of the structs that have members.
    structs: Vec<u32>,
}

/// One entry of the type section.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    members: u32,
    /// Whether member offsets carry a bit-field size in their upper byte.
    bitfields: bool,
    /// Size of a struct, or the id of the type that a modifier modifies.
    size_or_target: u32,
    /// Where the members begin.
    body: usize,
}

impl Btf {
    /// Reads the running kernel's types.
    pub(super) fn of_running_kernel() -> Result<Self, KernelError> {
        let data =
            fs::read(PATH).map_err(|error| KernelError::Btf { reason: error.to_string() })?;
        Self::parse(data).ok_or_else(|| KernelError::Btf { reason: "it is malformed".into() })
    }

    /// Indexes a BTF blob; `None` when it is malformed.
    pub(super) fn parse(data: Vec<u8>) -> Option<Self> {
        if u16_at(&data, 0)? != MAGIC {
            return None;
        }
        // Later kernels have longer headers; the sections are relative to its end.
        let header = usize::try_from(u32_at(&data, 4)?).ok()?;
        let section = |offset: usize, length: usize| {
            let start = header.checked_add(usize::try_from(u32_at(&data, offset)?).ok()?)?;
            let end = start.checked_add(usize::try_from(u32_at(&data, length)?).ok()?)?;
            (end <= data.len()).then_some(start..end)
        };
        let type_section = section(8, 12)?;
        let strings = section(16, 20)?;
        // From a header of 32 bytes on, a table says how long each kind of type is.
        let layout = if header >= 32 { section(24, 28)? } else { 0..0 };

        let (mut types, mut structs) = (Vec::new(), Vec::new());
        let mut at = type_section.start;
        while at < type_section.end {
            let entry = Type::parse(&data, at)?;
            types.push(at);
            if entry.kind == KIND_STRUCT && entry.members > 0 {
                structs.push(u32::try_from(types.len()).ok()?);
            }
            at = entry.body.checked_add(body_length(&data, &layout, entry)?)?;
        }
        (at == type_section.end).then_some(Self { data, strings, types, structs })
    }

    /// Byte offset of a member, written as in C without the variable: `file.f_path.dentry`. Members of
    /// anonymous structs and unions count as members of what encloses them. `None` when there is no
    /// such member, when it is a bit field, or when types of the same name disagree.
    pub(super) fn offset(&self, path: &str) -> Option<u32> {
        let (name, members) = path.split_once('.')?;
        let mut found = None;
        for &id in &self.structs {
            if !self.is_named(self.entry(id)?.name, name.as_bytes()) {
                continue;
            }
            let offset = self.nested(id, members)?;
            if found.is_some_and(|other| other != offset) {
                return None;
            }
            found = Some(offset);
        }
        found
    }

    /// Size of a struct in bytes; `None` when there is none of this name.
    pub(super) fn size(&self, name: &str) -> Option<u32> {
        let mut entries = self.structs.iter().filter_map(|&id| self.entry(id));
        let found = entries.find(|entry| self.is_named(entry.name, name.as_bytes()))?;
        Some(found.size_or_target)
    }

    fn nested(&self, start: u32, members: &str) -> Option<u32> {
        let (mut id, mut bits) = (start, 0u32);
        for member in members.split('.') {
            let (offset, next) = self.member(id, member.as_bytes(), 0)?;
            bits = bits.checked_add(offset)?;
            id = next;
        }
        (bits % 8 == 0).then_some(bits / 8)
    }

    /// Bit offset and type of a member.
    fn member(&self, id: u32, name: &[u8], depth: u32) -> Option<(u32, u32)> {
        let entry = self.resolve(id)?;
        if name.is_empty() || depth > MAX_DEPTH || !matches!(entry.kind, KIND_STRUCT | KIND_UNION) {
            return None;
        }
        for index in 0..entry.members {
            let at = entry.body.checked_add(usize::try_from(index).ok()?.checked_mul(12)?)?;
            let (member_name, member_type) = (u32_at(&self.data, at)?, u32_at(&self.data, at + 4)?);
            let raw = u32_at(&self.data, at + 8)?;
            let (offset, width) =
                if entry.bitfields { (raw & 0xff_ffff, raw >> 24) } else { (raw, 0) };
            if width == 0 && self.is_named(member_name, name) {
                return Some((offset, member_type));
            }
            if self.is_named(member_name, b"")
                && let Some((inner, found)) = self.member(member_type, name, depth + 1)
            {
                return Some((offset.checked_add(inner)?, found));
            }
        }
        None
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<Type> {
        for _ in 0..MAX_DEPTH {
            let entry = self.entry(id)?;
            match entry.kind {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = entry.size_or_target;
                }
                _ => return Some(entry),
            }
        }
        None
    }

    fn entry(&self, id: u32) -> Option<Type> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        Type::parse(&self.data, *self.types.get(index)?)
    }

    /// Whether the string at this offset is `name`.
    fn is_named(&self, offset: u32, name: &[u8]) -> bool {
        let Ok(offset) = usize::try_from(offset) else { return false };
        let Some(start) = self.strings.start.checked_add(offset) else { return false };
        let rest = self.data.get(start..self.strings.end);
        let tail = rest.and_then(|text| text.strip_prefix(name));
        tail.and_then(<[u8]>::first) == Some(&0)
    }
}

impl Type {
    fn parse(data: &[u8], at: usize) -> Option<Self> {
        let info = u32_at(data, at.checked_add(4)?)?;
        Some(Self {
            name: u32_at(data, at)?,
            kind: (info >> 24) & 0x1f,
            members: info & 0xffff,
            bitfields: info >> 31 == 1,
            size_or_target: u32_at(data, at.checked_add(8)?)?,
            body: at.checked_add(12)?,
        })
    }
}

/// Bytes after the common part of a type. Kinds that this code does not know are looked up in the
/// layout table of the file, if it has one.
fn body_length(data: &[u8], layout: &std::ops::Range<usize>, entry: Type) -> Option<usize> {
    let members = usize::try_from(entry.members).ok()?;
    match entry.kind {
        // Pointer, forward, typedef, qualifiers, function, float, type tag.
        2 | 7..=12 | 16 | 18 => Some(0),
        // Integer, variable, declaration tag.
        1 | 14 | 17 => Some(4),
        // Array.
        3 => Some(12),
        // Enumeration, prototype.
        6 | 13 => members.checked_mul(8),
        // Struct, union, data section, 64-bit enumeration.
        4 | 5 | 15 | 19 => members.checked_mul(12),
        kind => {
            let at = layout.start.checked_add(usize::try_from(kind).ok()?.checked_mul(4)?)?;
            let row = data.get(at..at.checked_add(4)?).filter(|_| at + 4 <= layout.end)?;
            usize::from(row[1]).checked_mul(members)?.checked_add(usize::from(row[0]))
        }
    }
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    let bytes = data.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
#[path = "btf_tests.rs"]
mod tests;
