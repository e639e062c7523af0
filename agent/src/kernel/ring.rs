//! The ring of events, read.
//!
//! The kernel lays out one page with the position of the reader, one with that of the writers, and the data pages
//! twice in a row, so that no record has a seam (`kernel/bpf/ringbuf.c`). All of it counts as the reader's memory. Here
//! the data is mapped once; a record that has a seam, one in tens of thousands, is put together.

#![expect(
    clippy::cast_ptr_alignment,
    reason = "the kernel's layout is aligned; shown at each place"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use aya::maps::{Map, MapData, MapError};
use memmap2::{MmapOptions, MmapRaw};
use nix::unistd::{SysconfVar, sysconf};

/// `BPF_RINGBUF_BUSY_BIT`, `BPF_RINGBUF_DISCARD_BIT`, `BPF_RINGBUF_HDR_SZ` (include/uapi/linux/bpf.h).
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER: usize = 8;

/// A ring whose only reader this is.
pub(super) struct Ring {
    map: MapData,
    reader: MmapRaw,
    /// The page of the writers, and the data.
    writers: MmapRaw,
    size: usize,
    page: usize,
    /// Up to where it was read. Positions only grow.
    position: usize,
    /// A record that had a seam.
    joined: Vec<u8>,
}

impl TryFrom<Map> for Ring {
    type Error = MapError;

    fn try_from(map: Map) -> Result<Self, MapError> {
        let Map::RingBuf(map) = map else {
            return Err(MapError::IoError(io::Error::other("the map is no ring")));
        };
        let size = map.info()?.max_entries() as usize;
        Self::over(map, size).map_err(MapError::IoError)
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }
}

impl Ring {
    fn over(map: MapData, size: usize) -> io::Result<Self> {
        let page = sysconf(SysconfVar::PAGE_SIZE)?;
        let page = page.and_then(|page| usize::try_from(page).ok());
        let page = page.ok_or_else(|| io::Error::other("no size of pages"))?;
        let descriptor = map.fd().as_fd().as_raw_fd();
        let reader = MmapOptions::new().len(page).map_raw(descriptor)?;
        let writers = MmapOptions::new()
            .offset(page as u64)
            .len(page + size)
            .map_raw_read_only(descriptor)?;
        let mut ring = Self { map, reader, writers, size, page, position: 0, joined: Vec::new() };
        ring.position = ring.reader_position().load(Ordering::Acquire);
        Ok(ring)
    }

    /// Gives each record that is there to `take`, in the order of the ring, and makes room for others.
    pub(super) fn read(&mut self, mut take: impl FnMut(&[u8])) {
        let mut looked_again = true;
        loop {
            let written = self.written();
            let header = if written == self.position { BUSY } else { self.header() };
            if header & BUSY != 0 {
                if looked_again {
                    return;
                }
                // Either this sees what a writer has just written, or the writer sees up to where was read, and wakes
                // whoever polls.
                fence(Ordering::SeqCst);
                looked_again = true;
                continue;
            }
            looked_again = false;
            let length = (header & !(BUSY | DISCARDED)) as usize;
            if header & DISCARDED == 0 {
                take(self.record(length));
            }
            self.position = self.position.wrapping_add((HEADER + length).next_multiple_of(8));
            // The kernel may write there from now on.
            self.reader_position().store(self.position, Ordering::Release);
        }
    }

    fn record(&mut self, length: usize) -> &[u8] {
        // Headers begin at multiples of eight, so that none has a seam.
        let start = (self.position + HEADER) & (self.size - 1);
        let whole = length.min(self.size);
        let first = whole.min(self.size - start);
        if first == whole {
            return self.data(start, whole);
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        joined.extend_from_slice(self.data(start, first));
        joined.extend_from_slice(self.data(0, whole - first));
        self.joined = joined;
        &self.joined
    }

    /// Data of a record that is complete.
    fn data(&self, start: usize, length: usize) -> &[u8] {
        assert!(start + length <= self.size, "a record is within the ring");
        let first = self.writers.as_ptr().wrapping_add(self.page + start);
        // SAFETY: the bytes are within the mapping (checked above), which lives as long as `self`. Writers are done with
        // a record whose header is not busy, and write there again only after the reader's position has passed it,
        // which `read` moves when the slice is gone.
        unsafe { slice::from_raw_parts(first, length) }
    }

    fn header(&self) -> u32 {
        let start = self.position & (self.size - 1);
        let word = self.writers.as_ptr().wrapping_add(self.page + start).cast::<AtomicU32>();
        // SAFETY: the position is a multiple of eight below the size, so the word is within the mapping and aligned; the
        // kernel writes it as one word. Acquire: what was written before the record was completed is seen.
        unsafe { &*word }.load(Ordering::Acquire)
    }

    /// Up to where writers have reserved.
    fn written(&self) -> usize {
        let word = self.writers.as_ptr().cast::<AtomicUsize>();
        // SAFETY: the mapping begins with this word, aligned to a page; the kernel writes it as one word.
        unsafe { &*word }.load(Ordering::Acquire)
    }

    fn reader_position(&self) -> &AtomicUsize {
        let word = self.reader.as_ptr().cast::<AtomicUsize>();
        // SAFETY: as above, and this mapping may be written.
        unsafe { &*word }
    }
}
