/// What a session waits for until it is ready: its greeting to be written, and a mark. It is ready
/// once, when the last of both has come, in whatever order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Awaited {
    greeting: bool,
    mark: bool,
}

impl Awaited {
    /// Of a session that has just been opened.
    pub(crate) const fn new(greeting: bool, mark: bool) -> Self {
        Self { greeting, mark }
    }

    pub(crate) const fn is_over(self) -> bool {
        !self.greeting && !self.mark
    }

    /// Whether the greeting is still to be written.
    pub(crate) const fn greeting(self) -> bool {
        self.greeting
    }

    /// The greeting is written. Whether the session is ready by that.
    pub(crate) const fn greeted(&mut self) -> bool {
        let before = self.is_over();
        self.greeting = false;
        !before && self.is_over()
    }

    /// The session was marked. Whether it is ready by that.
    pub(crate) const fn marked(&mut self) -> bool {
        let before = self.is_over();
        self.mark = false;
        !before && self.is_over()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_ready_once_when_the_last_has_come() {
        // What is awaited; when each step of mark, greeting, mark, greeting makes it ready.
        for (greeting, mark, steps) in [
            (false, false, [false, false, false, false]),
            (false, true, [true, false, false, false]),
            (true, false, [false, true, false, false]),
            (true, true, [false, true, false, false]),
        ] {
            let mut awaited = Awaited::new(greeting, mark);
            assert_eq!(awaited.is_over(), !greeting && !mark);
            let ready = [awaited.marked(), awaited.greeted(), awaited.marked(), awaited.greeted()];
            assert_eq!(ready, steps, "greeting {greeting}, mark {mark}");
        }
        let mut awaited = Awaited::new(true, true);
        assert_eq!((awaited.greeted(), awaited.marked()), (false, true));
    }
}
