//! What a session may do to files, where the kernel enforces it.
//!
//! Rules hang on directories and files by identity, so a rule holds whatever the file is called. They
//! are wider than a policy's globs (a subtree stands for every pattern inside it): the kernel refuses
//! what is plainly outside, and verification judges the rest exactly.

/// How many rules all sessions together can have.
pub const FILE_SLOTS: u32 = 1 << 18;

/// How long a name may be to have a rule of its own, one more than the bytes.
pub const NAME_BYTES: usize = 64;

/// Bits of what may be done.
pub mod modes {
    /// Open for reading.
    pub const READ: u32 = 1 << 0;
    /// Open for writing, cut, change mode or owner.
    pub const WRITE: u32 = 1 << 1;
    /// Make the name.
    pub const CREATE: u32 = 1 << 2;
    /// Remove the name.
    pub const DELETE: u32 = 1 << 3;
    /// Take the name in a rename, or give it up.
    pub const RENAME: u32 = 1 << 4;
    /// Run it.
    pub const EXEC: u32 = 1 << 5;
    /// Connect to it, if it is a socket.
    pub const CONNECT: u32 = 1 << 6;
    /// Map it as code, or load it as the interpreter of a program.
    pub const MAP: u32 = 1 << 7;
    /// What no rule grants: mounting, and everything without a name.
    pub const NEVER: u32 = 1 << 31;
}

/// A directory or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct FileKey {
    /// Generation of the rules.
    pub generation: u32,
    /// Device in the kernel's encoding: major shifted left by 20, or minor.
    pub dev: u32,
    /// Inode number.
    pub ino: u64,
}

/// What may be done there, in bits of [`modes`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FileRule {
    /// To the object itself.
    pub own: u32,
    /// To what lies directly in it.
    pub children: u32,
    /// To it and everything below.
    pub tree: u32,
    /// 1 when names in it have rules of their own.
    pub named: u32,
}

/// A name in a directory: for files that do not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FileNameKey {
    /// The directory.
    pub directory: FileKey,
    /// The name, padded with zeros.
    pub name: [u8; NAME_BYTES],
}

impl FileKey {
    /// The key as the kernel reads it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.generation.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.dev.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.ino.to_ne_bytes());
        bytes
    }
}

impl FileRule {
    /// The value as the kernel reads it.
    #[must_use]
    pub fn to_words(self) -> [u32; 4] {
        [self.own, self.children, self.tree, self.named]
    }
}

impl FileNameKey {
    /// The key as the kernel reads it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 80] {
        let mut bytes = [0; 80];
        bytes[..16].copy_from_slice(&self.directory.to_bytes());
        bytes[16..].copy_from_slice(&self.name);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn layouts() {
        assert_eq!(size_of::<FileKey>(), 16);
        assert_eq!(offset_of!(FileKey, dev), 4);
        assert_eq!(offset_of!(FileKey, ino), 8);
        assert_eq!(size_of::<FileRule>(), 16);
        assert_eq!(offset_of!(FileRule, tree), 8);
        assert_eq!(size_of::<FileNameKey>(), 80);
        assert_eq!(offset_of!(FileNameKey, name), 16);
    }
}
