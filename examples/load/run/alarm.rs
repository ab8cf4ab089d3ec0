//! An alarm that an event loop waits for, good to some 50 µs: timers of the loop itself are good to a
//! millisecond, which is longer than many an answer takes.

pub(super) use self::kind::Alarm;

#[cfg(target_os = "linux")]
mod kind {
    use std::{
        io,
        os::fd::AsFd as _,
        time::{Duration, Instant},
    };

    use nix::sys::{
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    };
    use tokio::net::unix::pipe;

    /// A timer that is a file (`timerfd_create(2)`), and is read as a pipe is: eight bytes once it has gone off.
    pub(crate) struct Alarm {
        timer: TimerFd,
        reader: pipe::Receiver,
    }

    impl Alarm {
        pub(crate) fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            let same = timer.as_fd().try_clone_to_owned()?;
            Ok(Self { timer, reader: pipe::Receiver::from_owned_fd_unchecked(same)? })
        }

        pub(crate) fn set(&self, time: Instant) -> io::Result<()> {
            // None at all would be no alarm.
            let wait = time.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
            let once = Expiration::OneShot(TimeSpec::from_duration(wait));
            Ok(self.timer.set(once, TimerSetTimeFlags::empty())?)
        }

        pub(crate) async fn goes_off(&self) -> io::Result<()> {
            loop {
                self.reader.readable().await?;
                match self.reader.try_read(&mut [0; 8]) {
                    // It was set anew meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    gone_off => return gone_off.map(drop),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kind {
    use std::{
        io,
        sync::{
            Arc,
            mpsc::{Sender, channel},
        },
        thread,
        time::Instant,
    };

    use tokio::sync::Notify;

    /// A thread that sleeps until then. It costs the kernel two switches more each time.
    pub(crate) struct Alarm {
        times: Sender<Instant>,
        gone_off: Arc<Notify>,
    }

    impl Alarm {
        pub(crate) fn new() -> io::Result<Self> {
            let ((times, due), gone_off) = (channel::<Instant>(), Arc::new(Notify::new()));
            let told = Arc::clone(&gone_off);
            thread::Builder::new().name("load-alarm".into()).spawn(move || {
                for time in due {
                    thread::sleep(time.saturating_duration_since(Instant::now()));
                    told.notify_one();
                }
            })?;
            Ok(Self { times, gone_off })
        }

        pub(crate) fn set(&self, time: Instant) -> io::Result<()> {
            self.times.send(time).map_err(io::Error::other)
        }

        pub(crate) async fn goes_off(&self) -> io::Result<()> {
            self.gone_off.notified().await;
            Ok(())
        }
    }
}
