//! What two processes of one machine say to each other: lines of text, blocks of bytes, and open files.

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The longest line; the faults of a configuration are in one.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// The largest block: the standing of all pools.
const BLOCK_BYTES_MAX: usize = 16 << 20;
/// Files that one message can carry (SCM_MAX_FD in the kernel).
pub const FILES_MAX: usize = 253;
/// The byte that files travel with: a message of none carries nothing.
const CARRIER: [u8; 1] = *b"F";

/// One end of a connection between two processes.
#[derive(Debug)]
pub struct Wire(UnixStream);

impl Wire {
    /// Every call on it ends after `patience` at the latest.
    ///
    /// # Errors
    /// The socket takes no timeout.
    pub fn new(socket: UnixStream, patience: Duration) -> io::Result<Self> {
        let wire = Self(socket);
        wire.set_patience(patience)?;
        Ok(wire)
    }

    /// Hears for as long as it takes.
    ///
    /// # Errors
    /// The socket takes no timeout.
    pub fn patient(socket: UnixStream) -> io::Result<Self> {
        socket.set_read_timeout(None)?;
        Ok(Self(socket))
    }

    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(patience))?;
        self.0.set_write_timeout(Some(patience))
    }

    pub fn socket(&self) -> &UnixStream {
        &self.0
    }

    pub fn into_socket(self) -> UnixStream {
        self.0
    }

    /// Says one line. Line ends within are said as `\n`, so that it stays one.
    pub fn say(&self, line: &str) -> io::Result<()> {
        let mut line = line.replace('\\', "\\\\").replace('\n', "\\n");
        line.push('\n');
        (&self.0).write_all(line.as_bytes())
    }

    /// Hears one line. Not a byte beyond it is read, because files may come next.
    ///
    /// # Errors
    /// The other end is gone, says nothing in time, or no line.
    pub fn hear(&self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match (&self.0).read(&mut byte) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                // A signal came.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            match byte {
                [b'\n'] => break,
                _ if line.len() as u64 >= LINE_BYTES_MAX => {
                    return Err(ErrorKind::InvalidData.into());
                }
                [byte] => line.push(byte),
            }
        }
        let line = String::from_utf8(line).map_err(|_| ErrorKind::InvalidData)?;
        Ok(unescape(&line))
    }

    /// Sends `block`, whose length was said before.
    pub fn send(&self, block: &[u8]) -> io::Result<()> {
        (&self.0).write_all(block)
    }

    /// Receives a block of `length` bytes.
    pub fn receive(&self, length: usize) -> io::Result<Vec<u8>> {
        if length > BLOCK_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut block = vec![0; length];
        (&self.0).read_exact(&mut block)?;
        Ok(block)
    }

    /// Sends open files, whose number was said before. Both processes have them then.
    pub fn send_files(&self, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        if files.len() > FILES_MAX {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(files));
        let carrier = [IoSlice::new(&CARRIER)];
        let send = || sendmsg(&self.0, &carrier, &mut control, SendFlags::NOSIGNAL);
        retry_on_intr(send)?;
        Ok(())
    }

    /// Receives `number` open files.
    ///
    /// # Errors
    /// There were more or fewer.
    pub fn receive_files(&self, number: usize) -> io::Result<Vec<OwnedFd>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut carrier = CARRIER;
        let flags = RecvFlags::CMSG_CLOEXEC;
        let mut into = [IoSliceMut::new(&mut carrier)];
        retry_on_intr(|| recvmsg(&self.0, &mut into, &mut control, flags))?;
        let mut files = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                files.extend(received);
            }
        }
        if files.len() == number {
            Ok(files)
        } else {
            Err(ErrorKind::InvalidData.into())
        }
    }
}

fn unescape(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => {}
            },
            char => text.push(char),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    fn pair() -> (Wire, Wire) {
        let (one, other) = UnixStream::pair().unwrap();
        let patience = Duration::from_secs(10);
        (
            Wire::new(one, patience).unwrap(),
            Wire::new(other, patience).unwrap(),
        )
    }

    #[test]
    fn lines_arrive_as_they_were_said() {
        let (one, other) = pair();
        for line in ["", "plain", "two\nlines\n", r"back\slash \n", "naïve"] {
            one.say(line).unwrap();
            assert_eq!(other.hear().unwrap(), line);
        }
        drop(one);
        assert_eq!(other.hear().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn open_files_arrive_between_lines_and_blocks() {
        let (one, other) = pair();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        one.say("files").unwrap();
        one.send_files(&[socket.as_fd(), socket.as_fd()]).unwrap();
        one.send(b"block").unwrap();
        assert_eq!(other.hear().unwrap(), "files");
        let files = other.receive_files(2).unwrap();
        assert_eq!(other.receive(5).unwrap(), b"block");
        for file in files {
            let same = TcpListener::from(file);
            assert_eq!(same.local_addr().unwrap(), socket.local_addr().unwrap());
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let (one, other) = pair();
        std::thread::spawn(move || one.send(&vec![b'x'; 100_000]));
        assert_eq!(other.hear().unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(
            other.receive(usize::MAX).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
    }
}
