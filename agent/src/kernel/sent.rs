//! What became of bytes that were written to a socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How many bytes of a TCP socket the other side's kernel has not acknowledged (`SIOCOUTQ`, tcp(7)).
pub fn unacknowledged(socket: &impl AsFd) -> io::Result<u64> {
    let mut waiting: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and the request (TIOCOUTQ, the same
    // number as SIOCOUTQ) writes one int to where the pointer leads.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut waiting) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(waiting).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_the_other_side_has_got_is_told_from_what_it_has_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let mut client = TcpStream::connect(listener.local_addr().expect("address")).expect("up");
        let (mut server, _) = listener.accept().expect("accepted");
        client.set_nonblocking(true).expect("set");
        assert_eq!(unacknowledged(&client).expect("asked"), 0);
        let mut written = 0;
        while let Ok(more) = client.write(&[0; 4096]) {
            written += more;
        }
        assert!(unacknowledged(&client).expect("asked") > 0, "{written} bytes were taken at once");
        let mut text = vec![0; written];
        server.read_exact(&mut text).expect("read");
        while unacknowledged(&client).expect("asked") > 0 {
            std::thread::yield_now();
        }
    }
}
