//! The Task service's methods: which function answers which, and when a call has to wait.

use prost::Message;

use super::Supervisor;
use super::connection::Ticket;
use super::task::{Process, ProcessKey, Task};
use crate::protocol::task::{
    CloseIoRequest, ConnectRequest, CreateTaskRequest, DeleteRequest, ExecProcessRequest, KillRequest,
    PidsRequest, ResizePtyRequest, ShutdownRequest, StartRequest, StateRequest, UpdateTaskRequest,
    WaitRequest,
};
use crate::protocol::{Code, Method, Request, Status, TASK_V2, TASK_V3};

/// Calls that may wait for one process.
const MAX_WAITING_CALLS: usize = 256;

/// A request of the Task service.
#[derive(Debug)]
pub struct Call {
    pub ticket: Ticket,
    pub method: Method,
    pub payload: Vec<u8>,
}

/// What became of a call.
pub enum Outcome {
    /// It is answered now.
    Answer(Vec<u8>),
    /// Its ticket is kept, and answered later.
    Later,
    /// It must be tried again when the process is no longer busy.
    WaitFor(ProcessKey),
}

/// What handlers return.
pub type Handled = Result<Outcome, Status>;

/// An answer at once.
pub fn reply(message: &impl Message) -> Handled {
    Ok(Outcome::Answer(message.encode_to_vec()))
}

pub fn not_found(what: impl Into<String>) -> Status {
    Status::new(Code::NotFound, what)
}

pub fn wrong_state(what: impl Into<String>) -> Status {
    Status::new(Code::FailedPrecondition, what)
}

pub fn invalid(what: impl Into<String>) -> Status {
    Status::new(Code::InvalidArgument, what)
}

impl Call {
    /// Takes a request apart.
    pub fn new(ticket: Ticket, request: Request) -> Result<Self, Status> {
        let (service, method) = (&request.service, &request.method);
        if service != TASK_V2 && service != TASK_V3 {
            return Err(Status::new(
                Code::Unimplemented,
                format!("service {service} is not served here"),
            ));
        }
        let Some(method) = Method::from_name(method) else {
            return Err(Status::new(
                Code::Unimplemented,
                format!("method {method} is not known"),
            ));
        };
        Ok(Self {
            ticket,
            method,
            payload: request.payload,
        })
    }

    pub fn read<M: Message + Default>(&self) -> Result<M, Status> {
        let broken = |error| invalid(format!("decode the {} request: {error}", self.method.name()));
        M::decode(self.payload.as_slice()).map_err(broken)
    }
}

impl Supervisor {
    /// Answers a call, now or later.
    pub(super) fn call(&mut self, call: Call) {
        match self.handle(&call) {
            Ok(Outcome::Answer(payload)) => self.answer(call.ticket, Ok(payload)),
            Ok(Outcome::Later) => {}
            Ok(Outcome::WaitFor(key)) => self.defer(&key, call),
            Err(status) => {
                self.debug(|| format!("{} refused: {status}", call.method.name()));
                self.answer(call.ticket, Err(status));
            }
        }
    }

    fn handle(&mut self, call: &Call) -> Handled {
        match call.method {
            Method::Create => self.create(call.ticket, call.read::<CreateTaskRequest>()?),
            Method::Start => self.start(call.ticket, &call.read::<StartRequest>()?),
            Method::Delete => self.delete(call.ticket, &call.read::<DeleteRequest>()?),
            Method::Exec => self.exec(call.ticket, call.read::<ExecProcessRequest>()?),
            Method::State => self.state(&call.read::<StateRequest>()?),
            Method::Pids => self.pids(&call.read::<PidsRequest>()?),
            Method::Kill => self.kill(call.ticket, &call.read::<KillRequest>()?),
            Method::ResizePty => self.resize_pty(&call.read::<ResizePtyRequest>()?),
            Method::CloseIo => self.close_io(&call.read::<CloseIoRequest>()?),
            Method::Update => self.update(call.ticket, &call.read::<UpdateTaskRequest>()?),
            Method::Wait => self.wait(call.ticket, &call.read::<WaitRequest>()?),
            Method::Connect => self.connect(&call.read::<ConnectRequest>()?),
            Method::Shutdown => self.shutdown(&call.read::<ShutdownRequest>()?),
            Method::Pause | Method::Resume | Method::Checkpoint | Method::Stats => Err(Status::new(
                Code::Unimplemented,
                format!("{} is not offered by this shim", call.method.name()),
            )),
        }
    }

    fn defer(&mut self, key: &ProcessKey, call: Call) {
        let ticket = call.ticket;
        let full = match self.process_mut(key) {
            Ok(process) if process.waiting_calls.len() < MAX_WAITING_CALLS => {
                process.waiting_calls.push_back(call);
                return;
            }
            Ok(_) => Status::new(Code::ResourceExhausted, "too many calls wait for this process"),
            Err(status) => status,
        };
        self.answer(ticket, Err(full));
    }

    /// An operation on a process is done: calls that waited for it come to their turn.
    pub(super) fn release(&mut self, key: &ProcessKey) {
        let Ok(process) = self.process_mut(key) else {
            return;
        };
        process.busy = false;
        let calls = std::mem::take(&mut process.waiting_calls);
        for call in calls {
            self.call(call);
        }
    }

    pub(super) fn task(&self, id: &str) -> Result<&Task, Status> {
        self.tasks
            .get(id)
            .ok_or_else(|| not_found(format!("task {id} does not exist")))
    }

    pub(super) fn task_mut(&mut self, id: &str) -> Result<&mut Task, Status> {
        self.tasks
            .get_mut(id)
            .ok_or_else(|| not_found(format!("task {id} does not exist")))
    }

    pub(super) fn process(&self, key: &ProcessKey) -> Result<&Process, Status> {
        let task = self.task(&key.task)?;
        if key.exec.is_empty() {
            return Ok(&task.init);
        }
        let exec = task.execs.get(&key.exec).ok_or_else(|| no_exec(key))?;
        Ok(&exec.process)
    }

    pub(super) fn process_mut(&mut self, key: &ProcessKey) -> Result<&mut Process, Status> {
        let task = self.task_mut(&key.task)?;
        if key.exec.is_empty() {
            return Ok(&mut task.init);
        }
        let exec = task.execs.get_mut(&key.exec).ok_or_else(|| no_exec(key))?;
        Ok(&mut exec.process)
    }
}

fn no_exec(key: &ProcessKey) -> Status {
    not_found(format!("exec {} of task {} does not exist", key.exec, key.task))
}

/// The process of a request's two ids.
pub fn key(task: &str, exec: &str) -> ProcessKey {
    ProcessKey {
        task: task.to_owned(),
        exec: exec.to_owned(),
    }
}
