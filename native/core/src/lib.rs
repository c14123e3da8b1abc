//! The reactor of tsloop: sockets, without any Node-API.
//!
//! Map: [`mod@env`] ties one JavaScript environment together; [`reactor`] owns its sockets and runs turns;
//! [`command`] is what JavaScript asks for, [`event`] what it is told; [`mailbox`] carries both across threads;
//! [`pool`] is for work that is long by nature; [`net`], [`stream`] and [`dgram`] hold what a socket does,
//! [`mod@process`] what a child does; [`limits`] has every cap.
//!
//! Threading rules, in order of importance:
//! 1. A [`reactor::Reactor`] is only touched under its mutex. Correctness never depends on who holds the seat;
//!    the seat only says which thread *waits* for readiness.
//! 2. Only the JavaScript thread passes the seat, and only between deliveries.
//! 3. Batches are owned by exactly one side at a time: the reactor that fills them or JavaScript that reads them.

pub mod command;
pub mod dgram;
pub mod env;
pub mod event;
mod flags;
pub mod limits;
pub mod mailbox;
pub mod net;
pub mod pool;
pub mod process;
pub mod reactor;
pub mod stats;
pub mod stream;
pub mod sys;
pub mod table;
pub mod tls;
