//! Other programs: found, started, bounded in time, and ended by their ids and nothing else.

use crate::Result;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

pub const MINUTE: Duration = Duration::from_secs(60);

/// How often a running program is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a program may take to end after being asked to, and a pipe to close after its program has ended.
const GRACE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub enum Outcome {
    Exited(ExitStatus),
    TimedOut,
}

/// The first executable file of this name on PATH.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_executable(file))
}

pub fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// What a program prints, or nothing when it cannot be run or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program on our own terminal; `Err` unless it succeeds within the limit.
pub fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    let mut child = spawn(command)?;
    let end = Instant::now() + limit;
    loop {
        match child.try_wait().map_err(|e| format!("cannot wait for `{shown}`: {e}"))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("`{shown}` failed ({status})")),
            None if Instant::now() >= end => {
                end_tree(&mut child);
                return Err(format!("`{shown}` was stopped after {} minutes", limit.as_secs() / 60));
            }
            None => thread::sleep(TICK),
        }
    }
}

/// Runs a program, hands each line that it prints, on either stream, to `on_line` at once, and ends it after the limit.
pub fn stream(command: &mut Command, limit: Duration, mut on_line: impl FnMut(&str)) -> Result<Outcome> {
    let shown = show(command);
    let end = Instant::now() + limit;
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (sender, lines) = channel();
    for pipe in [child.stdout.take().map(boxed), child.stderr.take().map(boxed)].into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                if sender.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
    }
    drop(sender);
    let outcome = loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => on_line(&line),
            // Both streams are closed: what remains is the end of the program, which may take its time.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TICK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() >= end {
            end_tree(&mut child);
            break Outcome::TimedOut;
        }
        if let Some(status) = child.try_wait().map_err(|e| format!("cannot wait for `{shown}`: {e}"))? {
            break Outcome::Exited(status);
        }
    };
    drain(&lines, &mut on_line);
    Ok(outcome)
}

/// The lines still on their way. A grandchild that outlives its parent may hold the pipe open, hence the limit.
fn drain(lines: &Receiver<String>, on_line: &mut impl FnMut(&str)) {
    let end = Instant::now() + GRACE;
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        on_line(&line);
    }
}

fn boxed(pipe: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(pipe)
}

fn spawn(command: &mut Command) -> Result<Child> {
    if !std::io::stdin().is_terminal() {
        // A group of its own catches even what the program starts and forgets. At a terminal
        // it would miss Ctrl-C, and there is somebody to press it.
        command.process_group(0);
    }
    let shown = show(command);
    command.stdin(Stdio::null()).spawn().map_err(|e| format!("cannot start `{shown}`: {e}"))
}

/// The command as one would type it, less the folders.
fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(name).chain(args).collect::<Vec<_>>().join(" ")
}

/// Ends a program that we started and all that it started: first asks, then makes it.
fn end_tree(child: &mut Child) {
    let tree = descendants(child.id());
    signal("-TERM", &tree);
    let end = Instant::now() + GRACE;
    while Instant::now() < end && tree.iter().any(Process::is_alive) {
        let _ = child.try_wait();
        thread::sleep(TICK);
    }
    // Processes started meanwhile, and those that did not listen.
    signal("-KILL", &descendants(child.id()));
    signal("-KILL", &tree);
    let _ = child.wait();
}

/// A process is known by its id together with its start: ids are used again.
#[derive(Clone, PartialEq, Debug)]
struct Process {
    id: u32,
    parent: u32,
    group: u32,
    start: String,
}

impl Process {
    /// From /proc; on a system without it nothing is found and only the child itself is ended.
    fn read(id: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in brackets, may hold spaces and brackets itself; the fields follow its last one.
        let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
        let number = |i: usize| fields.get(i)?.parse().ok();
        Some(Process { id, parent: number(1)?, group: number(2)?, start: fields.get(19)?.to_string() })
    }

    fn is_alive(&self) -> bool {
        Process::read(self.id).is_some_and(|now| now.start == self.start)
    }
}

/// A process, those it started, and the members of its group if it leads one.
fn descendants(id: u32) -> Vec<Process> {
    let ids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<Process> = ids.filter_map(Process::read).collect();
    let mut found: Vec<Process> = all.iter().filter(|p| p.id == id || p.group == id).cloned().collect();
    loop {
        let more = all.iter().filter(|p| !found.contains(p) && found.iter().any(|f| f.id == p.parent));
        let more: Vec<Process> = more.cloned().collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn signal(name: &str, processes: &[Process]) {
    for process in processes.iter().filter(|p| p.is_alive()) {
        // Already gone is as good as ended, so what `kill` says does not matter.
        let _ = Command::new("kill").args([name, &process.id.to_string()]).stderr(Stdio::null()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_handed_on_to_the_last_unfinished_line() {
        let mut lines = Vec::new();
        let outcome =
            stream(&mut shell("echo out; echo err >&2; printf end"), MINUTE, |line| lines.push(line.to_owned()));
        assert!(matches!(outcome, Ok(Outcome::Exited(status)) if status.success()));
        lines.sort();
        assert_eq!(lines, ["end", "err", "out"]);
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
        let mut lines = Vec::new();
        let script = "sleep 600 & echo $!; echo before; wait";
        let outcome = stream(&mut shell(script), Duration::from_millis(500), |line| lines.push(line.to_owned()));
        assert!(matches!(outcome, Ok(Outcome::TimedOut)), "{outcome:?}");
        assert_eq!(lines[1], "before");
        let sleeper = Process::read(lines[0].parse().unwrap());
        // Whoever inherits the dead may not have buried them yet; a zombie has no memory left to read.
        let buried =
            sleeper.is_none_or(|p| std::fs::read(format!("/proc/{}/cmdline", p.id)).is_ok_and(|c| c.is_empty()));
        assert!(buried, "sleep goes on");
    }

    #[test]
    fn a_failing_program_is_an_error_that_names_it() {
        let error = run(&mut shell("exit 3"), MINUTE).unwrap_err();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
        let error = run(&mut Command::new("/nowhere/tool"), MINUTE).unwrap_err();
        assert!(error.starts_with("cannot start `tool`"), "{error}");
    }
}
