//! Linux' signals by the names that Kubernetes has for them.

/// Those below the real-time ones; of two names for one number both count.
const SIGNALS: [(&str, u8); 34] = [
    ("SIGABRT", 6),
    ("SIGALRM", 14),
    ("SIGBUS", 7),
    ("SIGCHLD", 17),
    ("SIGCLD", 17),
    ("SIGCONT", 18),
    ("SIGFPE", 8),
    ("SIGHUP", 1),
    ("SIGILL", 4),
    ("SIGINT", 2),
    ("SIGIO", 29),
    ("SIGIOT", 6),
    ("SIGKILL", 9),
    ("SIGPIPE", 13),
    ("SIGPOLL", 29),
    ("SIGPROF", 27),
    ("SIGPWR", 30),
    ("SIGQUIT", 3),
    ("SIGSEGV", 11),
    ("SIGSTKFLT", 16),
    ("SIGSTOP", 19),
    ("SIGSYS", 31),
    ("SIGTERM", 15),
    ("SIGTRAP", 5),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGURG", 23),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGVTALRM", 26),
    ("SIGWINCH", 28),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
];

/// The first real-time signal that the C library leaves to programs, and the last there is.
const REAL_TIME: (u8, u8) = (34, 64);

/// How far names count up from the first, and down from the last.
const STEPS: (u8, u8) = (15, 14);

/// A signal's number.
pub(super) fn number(name: &str) -> Option<u8> {
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    real_time()
        .find(|(known, _)| known == name)
        .map(|(_, number)| number)
}

/// All names.
pub(super) fn names() -> Vec<String> {
    let plain = SIGNALS.iter().map(|(name, _)| (*name).to_owned());
    plain.chain(real_time().map(|(name, _)| name)).collect()
}

fn real_time() -> impl Iterator<Item = (String, u8)> {
    let (first, last) = REAL_TIME;
    let (up, down) = STEPS;
    let named = |base: &str, sign: &str, step: u8| match step {
        0 => base.to_owned(),
        step => format!("{base}{sign}{step}"),
    };
    let from_first = (0..=up).map(move |step| (named("SIGRTMIN", "+", step), first + step));
    let to_last = (0..=down)
        .rev()
        .map(move |step| (named("SIGRTMAX", "-", step), last - step));
    from_first.chain(to_last)
}

#[cfg(test)]
mod tests {
    use super::{names, number};

    #[test]
    fn signals_have_linux_numbers() {
        assert_eq!(number("SIGTERM"), Some(15));
        assert_eq!(number("SIGRTMIN"), Some(34));
        assert_eq!(number("SIGRTMIN+15"), Some(49));
        assert_eq!(number("SIGRTMAX-14"), Some(50));
        assert_eq!(number("SIGRTMAX"), Some(64));
        for unknown in ["TERM", "15", "SIGRTMIN+16", "SIGRTMAX-15", "SIGRTMIN+0", ""] {
            assert_eq!(number(unknown), None, "of {unknown:?}");
        }
        assert_eq!(names().len(), 34 + 16 + 15);
    }
}
