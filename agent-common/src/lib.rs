//! The types that cross the kernel boundary.
#![no_std]
#![forbid(unsafe_code)]
