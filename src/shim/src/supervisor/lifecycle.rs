//! A container's way: Create, Start, Delete, and what follows when the OCI runtime has done its part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;

use super::Supervisor;
use super::calls::{Handled, Outcome, invalid, key, wrong_state};
use super::connection::Ticket;
use super::launch::{remove_exec_files, status_of};
use super::operations::OperationKind;
use super::task::{Exit, Process, ProcessKey, Task};
use crate::bundle::Config;
use crate::container_cgroup::ContainerCgroup;
use crate::oci::Runtime;
use crate::program::args::is_identifier;
use crate::protocol::events::{TaskCreate, TaskExecStarted, TaskIo, TaskStart};
use crate::protocol::options::{RUNC_OPTIONS, RuncOptions};
use crate::protocol::task::{CreateTaskRequest, CreateTaskResponse, StartRequest, StartResponse, TaskStatus};
use crate::protocol::{Any, Code, Status};
use crate::stdio::Spec;

const MAX_TASKS: usize = 1024;

impl Supervisor {
    pub(super) fn create(&mut self, ticket: Ticket, request: CreateTaskRequest) -> Handled {
        self.check_create(&request)?;
        let bundle = PathBuf::from(&request.bundle);
        let options = runc_options(request.options.as_ref())?;
        let runtime = Runtime::from_options(&options, &self.settings.namespace);
        let config = Config::read(&bundle).map_err(|e| status_of("read the bundle", &e))?;
        runtime
            .save(&bundle)
            .map_err(|e| status_of("write into the bundle", &e))?;
        let mut init = Process::new(Spec {
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
        });
        init.busy = true;
        init.launch_ticket = Some(ticket);
        let task = Task {
            bundle,
            runtime,
            owner: (options.io_uid, options.io_gid),
            own_pid_namespace: config.own_pid_namespace(),
            start_hooks: config.has_start_hooks(),
            cgroup: None,
            init,
            execs: BTreeMap::new(),
        };
        self.tasks.insert(request.id.clone(), task);
        self.prepare_and_launch(&key(&request.id, ""));
        Ok(Outcome::Later)
    }

    fn check_create(&self, request: &CreateTaskRequest) -> Result<(), Status> {
        if !is_identifier(&request.id) {
            return Err(invalid(format!("{:?} cannot be a task's id", request.id)));
        }
        if self.tasks.contains_key(&request.id) {
            return Err(Status::new(
                Code::AlreadyExists,
                format!("task {} already exists", request.id),
            ));
        }
        if self.tasks.len() >= MAX_TASKS {
            return Err(Status::new(
                Code::ResourceExhausted,
                "this shim has too many tasks",
            ));
        }
        if !Path::new(&request.bundle).is_absolute() {
            return Err(invalid(format!(
                "bundle {:?} is not an absolute path",
                request.bundle
            )));
        }
        if !request.rootfs.is_empty() {
            return Err(Status::new(
                Code::Unimplemented,
                "root file systems are mounted by this shim's caller",
            ));
        }
        if !request.checkpoint.is_empty() {
            return Err(Status::new(
                Code::Unimplemented,
                "checkpoints are not offered by this shim",
            ));
        }
        Ok(())
    }

    /// `create` or `exec` of the runtime has ended well.
    pub(super) fn launched(&mut self, key: &ProcessKey) {
        let pid = match self.take_over(key) {
            Ok(pid) => pid,
            Err(status) => return self.launch_failed(key, status),
        };
        let is_exec = !key.exec.is_empty();
        let Ok(task) = self.task_mut(&key.task) else {
            return;
        };
        if is_exec {
            remove_exec_files(task, key);
        } else {
            task.cgroup = ContainerCgroup::of(pid);
        }
        let Ok(process) = self.process_mut(key) else {
            return;
        };
        process.status = if is_exec {
            TaskStatus::Running
        } else {
            TaskStatus::Created
        };
        let ticket = process.launch_ticket.take();
        if is_exec {
            let event = TaskExecStarted {
                container_id: key.task.clone(),
                exec_id: key.exec.clone(),
                pid,
            };
            self.publisher.send(&event, &self.reactor);
        } else {
            self.publish_create(&key.task, pid);
        }
        if let Some(ticket) = ticket {
            let answer = match is_exec {
                true => StartResponse { pid }.encode_to_vec(),
                false => CreateTaskResponse { pid }.encode_to_vec(),
            };
            self.answer(ticket, Ok(answer));
        }
        self.claim_stray(key, pid);
        self.settle(key);
    }

    fn publish_create(&mut self, id: &str, pid: u32) {
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        let spec = &task.init.spec;
        let event = TaskCreate {
            container_id: id.to_owned(),
            bundle: task.bundle.to_string_lossy().into_owned(),
            rootfs: Vec::new(),
            io: Some(TaskIo {
                stdin: spec.stdin.clone(),
                stdout: spec.stdout.clone(),
                stderr: spec.stderr.clone(),
                terminal: spec.terminal,
            }),
            checkpoint: String::new(),
            pid,
        };
        self.publisher.send(&event, &self.reactor);
    }

    /// A launch has failed. An exec stays as a stopped process until its Delete, as it does in containerd;
    /// of a container, what the runtime may have left is removed before the answer, so that the same id can
    /// be tried again at once.
    pub(super) fn launch_failed(&mut self, key: &ProcessKey, status: Status) {
        let Ok(process) = self.process_mut(key) else {
            return;
        };
        let ticket = process.launch_ticket.take();
        if key.exec.is_empty() {
            return self.clean_up_create(key, ticket, status);
        }
        let mut io = std::mem::take(&mut process.io);
        process.status = TaskStatus::Stopped;
        process.exit = Some(Exit::failed_start());
        let mut streams = std::mem::take(&mut io.streams);
        for id in streams.drain(..) {
            self.streams.drain(id, &self.reactor, &mut self.scratch);
            self.streams.remove(id, &self.reactor);
        }
        if let Ok(task) = self.task(&key.task) {
            remove_exec_files(task, key);
        }
        if let Some(ticket) = ticket {
            self.answer(ticket, Err(status));
        }
        self.answer_waiters(key);
        self.settle(key);
    }

    fn clean_up_create(&mut self, key: &ProcessKey, ticket: Option<Ticket>, status: Status) {
        let spawned = self.runtime_log(key).ok().and_then(|log| {
            let mut command = self.tasks.get(&key.task)?.runtime.command(&log);
            command.args(["delete", "--force"]).arg(&key.task);
            Some((command.spawn().ok()?.id(), log))
        });
        match spawned {
            Some((pid, log)) => {
                let kind = OperationKind::CleanUp { ticket, status };
                self.begin(pid, key.clone(), kind, log);
            }
            None => self.created_in_vain(key, ticket, status),
        }
    }

    /// Nothing is left of a container whose creation failed.
    pub(super) fn created_in_vain(&mut self, key: &ProcessKey, ticket: Option<Ticket>, status: Status) {
        if let Some(mut task) = self.tasks.remove(&key.task) {
            self.close_streams(&mut task.init);
            if let Some(ticket) = ticket {
                self.answer(ticket, Err(status));
            }
            self.dismiss(task.init, &key.task);
        }
    }

    pub(super) fn start(&mut self, ticket: Ticket, request: &StartRequest) -> Handled {
        let key = key(&request.id, &request.exec_id);
        if !key.exec.is_empty() {
            return self.start_exec(ticket, key);
        }
        let process = self.process(&key)?;
        if process.busy {
            return Ok(Outcome::WaitFor(key));
        }
        match process.status {
            TaskStatus::Created => {}
            TaskStatus::Stopped => return Err(wrong_state("cannot start a stopped process")),
            _ => return Err(wrong_state("cannot start a process that runs already")),
        }
        if self.open_gate(&key, ticket) {
            return Ok(Outcome::Later);
        }
        self.start_by_runtime(ticket, key)
    }

    pub(super) fn start_by_runtime(&mut self, ticket: Ticket, key: ProcessKey) -> Handled {
        let log = self.runtime_log(&key)?;
        let task = self.task(&key.task)?;
        let mut command = task.runtime.command(&log);
        command.arg("start").arg(&key.task);
        let what = format!("run {}", task.runtime.binary);
        let child = command.spawn().map_err(|e| status_of(&what, &e))?;
        self.process_mut(&key)?.busy = true;
        self.begin(child.id(), key, OperationKind::Start(ticket), log);
        Ok(Outcome::Later)
    }

    /// The container's program runs, or has run by now.
    pub(super) fn started(&mut self, key: &ProcessKey, ticket: Ticket) {
        let Ok(process) = self.process_mut(key) else {
            return;
        };
        process.status = TaskStatus::Running;
        let pid = process.pid;
        let event = TaskStart {
            container_id: key.task.clone(),
            pid,
        };
        self.publisher.send(&event, &self.reactor);
        self.answer(ticket, Ok(StartResponse { pid }.encode_to_vec()));
        self.settle(key);
    }
}

fn runc_options(options: Option<&Any>) -> Result<RuncOptions, Status> {
    match options {
        None => Ok(RuncOptions::default()),
        Some(any) if any.type_url.is_empty() && any.value.is_empty() => Ok(RuncOptions::default()),
        Some(any) if any.type_name() == RUNC_OPTIONS => RuncOptions::decode(any.value.as_slice())
            .map_err(|error| invalid(format!("decode {RUNC_OPTIONS}: {error}"))),
        Some(any) => Err(invalid(format!("options of type {} are not known", any.type_url))),
    }
}
