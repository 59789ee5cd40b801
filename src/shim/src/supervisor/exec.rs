//! Further processes of a container: Exec lays one down, Start runs it.

use super::Supervisor;
use super::calls::{Handled, Outcome, invalid, key, reply, wrong_state};
use super::connection::Ticket;
use super::launch::{exec_document, status_of};
use super::task::{Exec, Process, ProcessKey};
use crate::program::args::is_identifier;
use crate::protocol::events::TaskExecAdded;
use crate::protocol::task::{ExecProcessRequest, TaskStatus};
use crate::protocol::{Any, Code, Empty, Status};
use crate::stdio::Spec;

const MAX_EXECS: usize = 1024;
const MAX_DOCUMENT_BYTES: usize = 1 << 20;

impl Supervisor {
    pub(super) fn exec(&mut self, ticket: Ticket, request: ExecProcessRequest) -> Handled {
        if !is_identifier(&request.exec_id) {
            return Err(invalid(format!("{:?} cannot be an exec's id", request.exec_id)));
        }
        let task = self.task_mut(&request.id)?;
        if task.init.busy {
            return Ok(Outcome::WaitFor(key(&request.id, "")));
        }
        if task.init.status == TaskStatus::Stopped {
            return Err(wrong_state("cannot exec in a stopped container"));
        }
        if task.execs.contains_key(&request.exec_id) {
            let text = format!("exec {} already exists", request.exec_id);
            return Err(Status::new(Code::AlreadyExists, text));
        }
        if task.execs.len() >= MAX_EXECS {
            return Err(Status::new(
                Code::ResourceExhausted,
                "this container has too many execs",
            ));
        }
        let document: Any = request.spec.unwrap_or_default();
        if document.value.is_empty() || document.value.len() > MAX_DOCUMENT_BYTES {
            return Err(invalid("the exec's process document is absent or too long"));
        }
        let mut process = Process::new(Spec {
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
        });
        process.io.client = Some(ticket.connection);
        let exec = Exec { document, process };
        task.execs.insert(request.exec_id.clone(), exec);
        let event = TaskExecAdded {
            container_id: request.id,
            exec_id: request.exec_id,
        };
        self.publisher.send(&event, &self.reactor);
        reply(&Empty {})
    }

    pub(super) fn start_exec(&mut self, ticket: Ticket, key: ProcessKey) -> Handled {
        let process = self.process(&key)?;
        if process.busy {
            return Ok(Outcome::WaitFor(key));
        }
        if process.status != TaskStatus::Created {
            return Err(wrong_state("cannot start an exec twice"));
        }
        let task = self.task_mut(&key.task)?;
        if task.init.status == TaskStatus::Stopped {
            return Err(wrong_state("cannot exec in a stopped container"));
        }
        let path = exec_document(task, &key);
        if let Some(exec) = task.execs.get_mut(&key.exec) {
            // It is needed once only, and may be long.
            let document = std::mem::take(&mut exec.document);
            pinnace_sys::file::write_replace(&path, &document.value, 0o600)
                .map_err(|e| status_of("write the exec's process document", &e))?;
        }
        let process = self.process_mut(&key)?;
        process.busy = true;
        process.launch_ticket = Some(ticket);
        self.prepare_and_launch(&key);
        Ok(Outcome::Later)
    }
}
