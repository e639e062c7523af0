//! Where files lie: what kernel objects say of a name and of an open file.

use crate::kernel::{Address, Head, Object, Pointer, layout};

/// A name in the tree: a dentry and the mount it is seen through.
#[derive(Clone, Copy)]
pub struct Place<P> {
    /// Its `struct vfsmount`.
    pub mount: P,
    /// Its `struct dentry`.
    pub dentry: P,
}

impl<P: Pointer> Place<P> {
    /// Where a `struct path` leads.
    #[inline(always)]
    pub fn of_path(path: P) -> Option<Self> {
        Some(Self {
            mount: path.follow(layout!(path_mnt))?,
            dentry: path.follow(layout!(path_dentry))?,
        })
    }

    /// Where an open file lies.
    #[inline(always)]
    pub fn of_file(file: P) -> Option<Self> {
        Some(Self {
            mount: file.follow(layout!(file_path_mnt))?,
            dentry: file.follow(layout!(file_path_dentry))?,
        })
    }
}

/// What a `struct file` says.
#[derive(Clone, Copy)]
pub struct OpenFile<P> {
    /// Its `f_flags`.
    pub flags: u32,
    /// Its `f_mode`.
    pub mode: u32,
    /// Its `struct inode`.
    pub inode: P,
    /// Where it lies.
    pub place: Place<P>,
}

impl<P: Pointer> OpenFile<P> {
    #[inline(always)]
    fn of_parts(file: P) -> Option<Self> {
        Some(Self {
            flags: file.read(layout!(file_flags))?,
            mode: file.read(layout!(file_mode))?,
            inode: file.follow(layout!(file_inode))?,
            place: Place::of_file(file)?,
        })
    }
}

impl OpenFile<Object> {
    /// Reads it; `None` when it is not readable.
    #[inline(always)]
    pub fn of(file: Object) -> Option<Self> {
        Self::of_parts(file)
    }
}

impl OpenFile<Address> {
    /// Reads it; `None` when it is not readable.
    #[inline(always)]
    pub fn at(file: Address) -> Option<Self> {
        /// All that is wanted lies in the first words, on all kernels known.
        type Beginning = Head<11>;
        let held = Beginning::holds(layout!(file_flags))
            && Beginning::holds(layout!(file_mode))
            && Beginning::holds(layout!(file_inode))
            && Beginning::holds(layout!(file_path_mnt))
            && Beginning::holds(layout!(file_path_dentry));
        if !held {
            return Self::of_parts(file);
        }
        let head: Beginning = file.read(0)?;
        let place = Place {
            mount: Address::new(head.word(layout!(file_path_mnt))),
            dentry: Address::new(head.word(layout!(file_path_dentry))),
        };
        Some(Self {
            flags: head.half(layout!(file_flags)),
            mode: head.half(layout!(file_mode)),
            inode: Address::new(head.word(layout!(file_inode))),
            place,
        })
    }
}
