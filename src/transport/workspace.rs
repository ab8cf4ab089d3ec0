use std::cell::RefCell;

use crate::protocol::BatchBuilder;

/// Bytes that one read takes from a socket at most.
const READ_SIZE: usize = 128 * 1024;
/// A buffer of what is written that grew past this for large messages is given back.
const KEPT_WRITE_CAPACITY: usize = 256 * 1024;

/// The buffers that all sessions of a thread share, because only one of them runs at a time.
///
/// An idle connection owns no buffer at all: what it reads is decoded here before its task
/// yields, and what it writes is encoded here and handed to the socket.
pub(super) struct Workspace {
    pub(super) read: Box<[u8]>,
    pub(super) batch: BatchBuilder,
    pub(super) write: Vec<u8>,
    /// Frames of what is replied at once to the messages of a read.
    pub(super) urgent: Vec<u8>,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::new(Workspace {
        read: vec![0; READ_SIZE].into_boxed_slice(),
        batch: BatchBuilder::default(),
        write: Vec::new(),
        urgent: Vec::new(),
    });
}

impl Workspace {
    /// Lends the workspace of this thread for one step of a session. It is empty, also where the step
    /// before it ended in a panic: what that session had there is for nobody else.
    pub(super) fn with<T>(use_it: impl FnOnce(&mut Self) -> T) -> T {
        WORKSPACE.with_borrow_mut(|workspace| {
            workspace.batch.clear();
            workspace.write.clear();
            workspace.urgent.clear();
            use_it(workspace)
        })
    }

    /// Empties the write buffer for the next step.
    pub(super) fn recycle_write(&mut self) {
        for buffer in [&mut self.write, &mut self.urgent] {
            if buffer.capacity() > KEPT_WRITE_CAPACITY {
                *buffer = Vec::new();
            } else {
                buffer.clear();
            }
        }
    }
}
