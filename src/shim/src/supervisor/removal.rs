//! Delete: a process that has ended is forgotten, and whoever still waits for it is answered.

use prost::Message;

use super::Supervisor;
use super::calls::{Handled, Outcome, key, not_found, reply, wrong_state};
use super::connection::Ticket;
use super::launch::status_of;
use super::operations::OperationKind;
use super::task::{Process, ProcessKey};
use crate::protocol::events::TaskDelete;
use crate::protocol::task::{DeleteRequest, DeleteResponse, TaskStatus};

impl Supervisor {
    pub(super) fn delete(&mut self, ticket: Ticket, request: &DeleteRequest) -> Handled {
        let key = key(&request.id, &request.exec_id);
        let process = self.process(&key)?;
        if process.busy {
            return Ok(Outcome::WaitFor(key));
        }
        if process.status == TaskStatus::Running {
            return Err(wrong_state("cannot delete a running process"));
        }
        if !key.exec.is_empty() {
            return self.delete_exec(&key);
        }
        let force = process.status != TaskStatus::Stopped;
        let log = self.runtime_log(&key)?;
        let task = self.task(&key.task)?;
        let mut command = task.runtime.command(&log);
        command.arg("delete");
        if force {
            command.arg("--force");
        }
        command.arg(&key.task);
        let what = format!("run {}", task.runtime.binary);
        let child = command.spawn().map_err(|e| status_of(&what, &e))?;
        self.process_mut(&key)?.busy = true;
        self.begin(child.id(), key, OperationKind::Delete(ticket), log);
        Ok(Outcome::Later)
    }

    fn delete_exec(&mut self, key: &ProcessKey) -> Handled {
        let task = self.task_mut(&key.task)?;
        let exec = task.execs.remove(&key.exec);
        let mut process = exec
            .ok_or_else(|| not_found(format!("exec {} does not exist", key.exec)))?
            .process;
        self.close_streams(&mut process);
        let response = self.deleted(key, &process);
        self.dismiss(process, &key.exec);
        reply(&response)
    }

    /// The runtime has forgotten the container, and so do we.
    pub(super) fn container_deleted(&mut self, key: &ProcessKey, ticket: Ticket) {
        let Some(mut task) = self.tasks.remove(&key.task) else {
            return;
        };
        self.close_streams(&mut task.init);
        if let Some(exit) = task.init.early_exit.take() {
            task.init.exit.get_or_insert(exit);
        }
        let response = self.deleted(key, &task.init);
        self.answer(ticket, Ok(response.encode_to_vec()));
        for (id, mut exec) in task.execs {
            self.close_streams(&mut exec.process);
            self.dismiss(exec.process, &id);
        }
        self.dismiss(task.init, &key.task);
    }

    fn deleted(&mut self, key: &ProcessKey, process: &Process) -> DeleteResponse {
        let event = TaskDelete {
            container_id: key.task.clone(),
            pid: process.pid,
            exit_status: process.exit.map_or(0, |exit| exit.code),
            exited_at: process.exit.map(|exit| exit.at),
            id: key.exec.clone(),
        };
        self.publisher.send(&event, &self.reactor);
        DeleteResponse {
            pid: event.pid,
            exit_status: event.exit_status,
            exited_at: event.exited_at,
        }
    }

    /// Answers all that still waited for a process that is gone from the tables.
    pub(super) fn dismiss(&mut self, process: Process, name: &str) {
        for ticket in process.waiters {
            match process.exit {
                Some(exit) => self.answer(ticket, Ok(exit.wait_response().encode_to_vec())),
                None => self.answer(ticket, Err(not_found(format!("{name} was deleted")))),
            }
        }
        for call in process.waiting_calls {
            self.call(call);
        }
    }
}
