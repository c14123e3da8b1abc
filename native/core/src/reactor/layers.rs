//! What a stream's layer asks of the reactor: that what it has sealed leaves, and that its long work is done elsewhere.
//!
//! A layer that has such work goes to the pool and comes back through the inbox, as everything does that reaches the reactor. So
//! long nobody reads its stream, and what is written waits in order. It comes back by its stream's id: if that is gone, so is the layer.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::apply::Posted;
use super::writing::Tells;
use super::{DIRECT, Entry, Reactor};
use crate::limits::LAYER_JOBS;
use crate::pool;
use crate::stream::layer::{Layer, Layered, Work, Worked};
use crate::table::Id;

/// Posts to the reactor's inbox, from any thread, and wakes whoever drives if need be.
pub type Post = Arc<dyn Fn(Posted) + Send + Sync>;

/// The work that layers are away for.
#[derive(Default)]
pub(super) struct Jobs {
    /// The way back; without one work is done in the turn.
    post: Option<Post>,
    under_way: usize,
    waiting: VecDeque<Id>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("under_way", &self.under_way).field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Jobs {
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// Does a layer's work; None if that went wrong, which is the fault of nobody else.
fn work(mut layer: Box<dyn Layer>) -> Option<Worked> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut out = Vec::new();
        let outcome = layer.work(&mut out);
        Worked { layer, out, outcome }
    }))
    .ok()
}

impl Reactor {
    /// Gives the reactor a way for what is done elsewhere to come back.
    pub fn post_with(&mut self, post: Post) {
        self.jobs.post = Some(post);
    }

    /// Puts a layer between a stream and its wire. What waits to leave by then leaves as it is.
    pub(super) fn put_layer(&mut self, id: Id, layer: Box<dyn Layer>) {
        self.with_stream(id, |stream, _| {
            let mut layered = Layered::new(layer);
            if let Some(queue) = stream.queue.as_mut() {
                layered.adopt(queue);
                if queue.is_empty() {
                    stream.queue = None;
                }
            }
            stream.layer = Some(Box::new(layered));
        });
        self.follow_layer(id);
    }

    /// Something has happened to a stream's layer: its work, its failure, and what it has to say or to tell.
    fn follow_layer(&mut self, id: Id) {
        self.look_after_layer(id);
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        if stream.wants_to_write(false) {
            self.flush(id, Tells::Now);
        } else if stream.flags.has(crate::stream::ENDING) {
            self.relieve(id);
        }
        self.enqueue(id);
    }

    /// Whatever a layer wants after it was given something: work, or to be given up.
    pub(super) fn look_after_layer(&mut self, id: Id) {
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        let Some(layered) = stream.layer.as_deref_mut() else { return };
        if let Some(errno) = layered.breaks() {
            self.fail(id, errno, false, false);
        } else if layered.wants_work() {
            layered.work = Work::Waits;
            self.jobs.waiting.push_back(id);
            self.start_work();
        }
    }

    /// Sends layers away, as many as may be.
    fn start_work(&mut self) {
        while self.jobs.under_way < LAYER_JOBS {
            let Some(id) = self.jobs.waiting.pop_front() else { return };
            let Some(slot) = self.slot(id) else { continue };
            let direct = slot.state.has(DIRECT);
            let Entry::Stream(stream) = &mut slot.entry else { continue };
            let Some(layer) = stream.layer.as_deref_mut().and_then(Layered::leave) else { continue };
            if direct {
                // The loop tells of bytes for as long as nobody reads them.
                self.take_back(id);
            }
            self.jobs.under_way += 1;
            let Some(post) = self.jobs.post.clone() else {
                self.worked(id, work(layer));
                continue;
            };
            if let Err(job) = pool::run(move || post(Posted::Worked(id, work(layer)))) {
                job();
            }
        }
    }

    /// A layer is back from its work.
    pub(super) fn worked(&mut self, id: Id, worked: Option<Worked>) {
        self.jobs.under_way -= 1;
        self.with_stream(id, |stream, _| {
            if let Some(layered) = stream.layer.as_deref_mut() {
                layered.come_back(worked);
            }
        });
        self.follow_layer(id);
        self.start_work();
    }
}
