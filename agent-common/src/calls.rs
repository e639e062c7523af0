//! System calls that change names, and where their arguments are: for the observer that sees calls.

use crate::EventKind;

/// How many calls it can watch.
pub const CALL_SLOTS: u32 = 64;

/// What one argument pair of a call means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Named {
    /// An [`EventKind`], 0 for none.
    pub kind: u8,
    /// Number of the argument with the directory's descriptor, [`Named::CWD`] when names count from the
    /// working directory.
    pub directory: u8,
    /// Number of the argument with the name, [`Named::DESCRIPTOR`] when the directory argument is a
    /// descriptor of the file itself.
    pub name: u8,
    /// Zero.
    pub reserved: u8,
}

/// A system call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CallShape {
    /// What it does to which name, in order.
    pub names: [Named; 2],
}

impl Named {
    /// See [`Named::directory`].
    pub const CWD: u8 = 255;
    /// See [`Named::name`].
    pub const DESCRIPTOR: u8 = 255;
    /// No name.
    pub const NONE: Self = Self { kind: 0, directory: 0, name: 0, reserved: 0 };

    /// A name that counts from the working directory.
    #[must_use]
    pub const fn plain(kind: EventKind, name: u8) -> Self {
        Self { kind: kind as u8, directory: Self::CWD, name, reserved: 0 }
    }

    /// A name that counts from a directory's descriptor.
    #[must_use]
    pub const fn at(kind: EventKind, directory: u8, name: u8) -> Self {
        Self { kind: kind as u8, directory, name, reserved: 0 }
    }

    /// A file by its own descriptor.
    #[must_use]
    pub const fn descriptor(kind: EventKind, descriptor: u8) -> Self {
        Self { kind: kind as u8, directory: descriptor, name: Self::DESCRIPTOR, reserved: 0 }
    }
}

impl CallShape {
    /// The value as the kernel reads it.
    #[must_use]
    pub fn to_words(self) -> [u32; 2] {
        self.names.map(|n| u32::from_ne_bytes([n.kind, n.directory, n.name, n.reserved]))
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn layouts() {
        assert_eq!(size_of::<Named>(), 4);
        assert_eq!(size_of::<CallShape>(), 8);
        let shape = CallShape { names: [Named::at(EventKind::Delete, 0, 1), Named::NONE] };
        let bytes = shape.to_words()[0].to_ne_bytes();
        assert_eq!(bytes, [EventKind::Delete as u8, 0, 1, 0]);
    }
}
