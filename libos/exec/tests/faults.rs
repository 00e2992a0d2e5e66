//! Timers on a host that interrupts every wait it can.

use kernlet_exec::{Task, block_on, sleep, spawn};
use kernlet_platform::Errno;
use kernlet_platform::faults::{Call, Fault, inject};
use kernlet_time::{Duration, Instant};

#[test]
fn sleepers_wake_in_order_and_never_early_however_often_waits_are_interrupted() {
    let injection = inject(5, 700, &[(Call::Wait, Fault::Error(Errno::EINTR))]);
    let start = Instant::now();
    let tasks: Vec<Task<(u64, Instant)>> = [30, 10, 20, 1]
        .into_iter()
        .map(|milliseconds| {
            spawn("sleeper", async move {
                sleep(Duration::from_millis(milliseconds)).await;
                (milliseconds, Instant::now())
            })
        })
        .collect();
    block_on(async move {
        let mut woken = Vec::new();
        for task in tasks {
            woken.push(task.join().await.unwrap());
        }
        assert!(woken.iter().all(|(after, at)| *at >= start + Duration::from_millis(*after)));
        woken.sort();
        assert!(woken.is_sorted_by_key(|(_, at)| *at));
        // Of ten waits seven are interrupted at once: a wait for each sleeper takes a few more, and no more than that.
        assert!(injection.calls_of(Call::Wait) < 200, "{} waits", injection.calls_of(Call::Wait));
        assert!(injection.faults() > 0);
    });
}
