//! Rates: what workers may consume per second, measured from what they did.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use nextbasket_domain::Random;
use nextbasket_dynamodb::capacity;
use nextbasket_job_engine::Rates;
use nextbasket_job_engine::calls::{Consumes, MeteredCalls};
use nextbasket_job_engine::limit::{Limiter, Limits};
use tokio::time::{Instant, sleep, timeout};

/// Workers that each make one call after the other, of `units` and 20 ms, for so long; gives the units of each second.
async fn consume(limiter: &Limiter, workers: usize, units: f64, seconds: usize) -> Vec<f64> {
    let begun = Instant::now();
    let consumed: Rc<Vec<Cell<f64>>> = Rc::new((0..seconds).map(|_| Cell::new(0.0)).collect());
    let tasks = tokio::task::LocalSet::new();
    for _ in 0..workers {
        let (limiter, consumed) = (limiter.clone(), Rc::clone(&consumed));
        tasks.spawn_local(async move {
            loop {
                let permit = limiter.ready().await;
                sleep(Duration::from_millis(20)).await;
                limiter.spent(units);
                drop(permit);
                let Some(second) = consumed.get(begun.elapsed().as_secs() as usize) else { return };
                second.set(second.get() + units);
            }
        });
    }
    tasks.await;
    consumed.iter().map(Cell::get).collect()
}

fn sum(seconds: &[f64]) -> f64 {
    seconds.iter().sum()
}

#[tokio::test(start_paused = true)]
async fn many_workers_together_keep_to_the_rate() {
    for units in [0.5, 1.0, 8.0] {
        let limiter = Limiter::new(Some(100.0));
        let seconds = consume(&limiter, 16, units, 20).await;
        let all = sum(&seconds);
        // One second's worth may be saved up, and a call of each worker may be under way.
        assert!((1900.0..=2100.0 + 16.0 * units).contains(&all), "{all} units of {units} in 20 s at 100/s");
    }
}

#[tokio::test(start_paused = true)]
async fn workers_whose_calls_are_metered_together_keep_to_the_rate() {
    let rates = Rates { read: Some(2.0), write: None };
    let calls = MeteredCalls::within(rates, Random::system().unwrap());
    let (workers, seconds) = (8, 30);
    let begun = Instant::now();
    let ended: Rc<RefCell<Vec<f64>>> = Rc::default();
    let tasks = tokio::task::LocalSet::new();
    for _ in 0..workers {
        let (calls, ended) = (calls.clone(), Rc::clone(&ended));
        tasks.spawn_local(async move {
            while begun.elapsed() < Duration::from_secs(seconds) {
                let read = || async {
                    sleep(Duration::from_millis(300)).await;
                    capacity::read(1.0);
                    Ok(())
                };
                let ((), units) = calls.call(Consumes::Reads, read).await.unwrap();
                assert_eq!(units.read, 1.0);
                ended.borrow_mut().push(begun.elapsed().as_secs_f64());
            }
        });
    }
    tasks.await;
    let ended = ended.borrow();
    let all = ended.len() as u64;
    assert!(
        (2 * seconds - 2..=2 * seconds + 2 + workers).contains(&all),
        "{all} units in {seconds} s at 2/s"
    );
    // No more than the rate, what one second saved up, and one call. If a permit did not last until its call has
    // ended, all workers would go as soon as one may.
    for begin in ended.iter() {
        let within = ended.iter().filter(|end| (*begin..begin + 1.0).contains(end)).count();
        assert!(within <= 5, "{within} units within a second from {begin} s on");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_nobody_waits() {
    let limiter = Limiter::new(None);
    let begun = Instant::now();
    for _ in 0..1000 {
        let _permit = limiter.ready().await;
        limiter.spent(1000.0);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(limiter.pace(), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_go_into_debt_and_the_next_one_waits_until_it_is_paid_back() {
    let limiter = Limiter::new(Some(10.0));
    drop(limiter.ready().await);
    let begun = Instant::now();
    limiter.spent(50.0);
    drop(limiter.ready().await);
    let waited = begun.elapsed().as_secs_f64();
    assert!((4.9..5.2).contains(&waited), "50 units at 10/s were paid back after {waited} s");
}

#[tokio::test(start_paused = true)]
async fn debt_longer_than_a_minute_is_paid_back_in_full() {
    let limiter = Limiter::new(Some(1.0));
    drop(limiter.ready().await);
    let begun = Instant::now();
    limiter.spent(200.0);
    drop(limiter.ready().await);
    assert!(begun.elapsed() >= Duration::from_secs(199), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_second_is_saved_up() {
    let limiter = Limiter::new(Some(10.0));
    sleep(Duration::from_secs(3600)).await;
    let begun = Instant::now();
    let mut at_once = 0;
    while timeout(Duration::from_millis(1), limiter.ready()).await.is_ok() && begun.elapsed().is_zero() {
        limiter.spent(1.0);
        at_once += 1;
    }
    assert!((10..=11).contains(&at_once), "{at_once}");
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_do_not_all_go_at_once() {
    let limiter = Limiter::new(Some(10.0));
    limiter.spent(10.0);
    let first = limiter.ready_for(100.0).await;
    assert!(
        timeout(Duration::from_secs(5), limiter.ready()).await.is_err(),
        "100 units are expected to be consumed"
    );
    // It was throttled, or cost nothing: what was set aside is free again.
    drop(first);
    assert!(timeout(Duration::from_millis(10), limiter.ready()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_changed_rate_holds_at_once_and_debt_stays() {
    let limits = Limits::new(Rates { read: Some(10.0), write: Some(20.0) }, 1.0);
    drop(limits.read.ready().await);
    limits.read.spent(20.0);
    limits.set_share(Rates { read: Some(10.0), write: Some(20.0) }, 0.5);
    assert_eq!((limits.read.pace(), limits.write.pace()), (Some(5.0), Some(10.0)));
    let begun = Instant::now();
    drop(limits.read.ready().await);
    let waited = begun.elapsed().as_secs_f64();
    assert!((3.9..4.2).contains(&waited), "20 units at 5/s were paid back after {waited} s");
}

#[tokio::test(start_paused = true)]
async fn a_throttle_lowers_the_pace_once_and_it_comes_back_by_itself() {
    let limiter = Limiter::new(Some(100.0));
    consume(&limiter, 4, 1.0, 5).await;
    for _ in 0..50 {
        limiter.throttled();
    }
    let fell = limiter.pace().unwrap();
    assert!((65.0..=77.0).contains(&fell), "{fell}");
    sleep(Duration::from_secs(1)).await;
    let risen = limiter.pace().unwrap();
    assert!((fell * 1.04..fell * 1.06).contains(&risen), "{fell} became {risen}");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(limiter.pace(), Some(100.0));
}

#[tokio::test(start_paused = true)]
async fn throttles_again_and_again_go_on_lowering_the_pace_but_not_to_nothing() {
    let limiter = Limiter::new(Some(1000.0));
    let mut before = f64::INFINITY;
    for _ in 0..100 {
        limiter.throttled();
        let pace = limiter.pace().unwrap();
        assert!(pace <= before || pace <= 2.0, "{before} became {pace}");
        before = pace;
        sleep(Duration::from_secs(1)).await;
    }
    assert!((1.0..=2.0).contains(&before), "{before}");
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_a_throttle_holds_to_what_went_through_until_there_is_room_again() {
    let limiter = Limiter::new(None);
    // Two workers, a call of one unit each 20 ms.
    let through = sum(&consume(&limiter, 2, 1.0, 4).await) / 4.0;
    assert!((95.0..=101.0).contains(&through), "{through}");
    limiter.throttled();
    let pace = limiter.pace().unwrap();
    assert!((65.0..=77.0).contains(&pace), "{through} units/s became {pace}");
    let held = consume(&limiter, 2, 1.0, 2).await;
    assert!(held[0] < 90.0, "{held:?}");
    sleep(Duration::from_secs(30)).await;
    assert_eq!(limiter.pace(), None);
}

/// A table that takes some units per second, and throttles what is beyond, and a part of all calls whatever their pace.
struct Throttling {
    capacity: f64,
    left: f64,
    at: Instant,
    /// How many of 100 calls are throttled at any pace.
    percent: u64,
    dice: u64,
    taken: f64,
    throttled: f64,
}

impl Throttling {
    fn new(capacity: f64, percent: u64, seed: u64) -> Self {
        Self { capacity, left: capacity, at: Instant::now(), percent, dice: seed, taken: 0.0, throttled: 0.0 }
    }

    /// Whether a call of one unit goes through.
    fn takes(&mut self) -> bool {
        // A step of a linear congruential generator, with the constants of Knuth's MMIX.
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unlucky = (self.dice >> 33) % 100 < self.percent;
        self.left = f64::min(self.left + self.at.elapsed().as_secs_f64() * self.capacity, self.capacity);
        self.at = Instant::now();
        let takes = !unlucky && self.left >= 1.0;
        if takes {
            self.left -= 1.0;
            self.taken += 1.0;
        } else {
            self.throttled += 1.0;
        }
        takes
    }
}

/// Workers that make calls of one unit and 20 ms for so long; a throttled one pauses before the next attempt.
async fn consume_from(table: Throttling, limiter: &Limiter, workers: u64, seconds: u64) -> Throttling {
    let begun = Instant::now();
    let table = Rc::new(RefCell::new(table));
    let tasks = tokio::task::LocalSet::new();
    for _ in 0..workers {
        let (limiter, table) = (limiter.clone(), Rc::clone(&table));
        tasks.spawn_local(async move {
            let mut throttled = 0;
            while begun.elapsed() < Duration::from_secs(seconds) {
                let permit = limiter.ready().await;
                sleep(Duration::from_millis(20)).await;
                if table.borrow_mut().takes() {
                    permit.spent(1.0);
                    throttled = 0;
                } else {
                    drop(permit);
                    limiter.throttled();
                    sleep(Duration::from_millis(25 << throttled.min(8))).await;
                    throttled += 1;
                }
            }
        });
    }
    tasks.await;
    Rc::try_unwrap(table).unwrap_or_else(|_| panic!("all workers have ended")).into_inner()
}

#[tokio::test(start_paused = true)]
async fn the_pace_finds_the_capacity_of_a_table_that_nobody_told() {
    for (capacity, rate) in [(50.0, None), (50.0, Some(1000.0)), (200.0, None)] {
        let table = Throttling::new(capacity, 0, 1);
        let Throttling { taken, throttled, .. } = consume_from(table, &Limiter::new(rate), 8, 120).await;
        assert!(taken > capacity * 120.0 * 0.95, "{taken} of {} were taken", capacity * 120.0);
        assert!(throttled < taken * 0.12, "{throttled} were throttled, {taken} taken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_throttles_a_part_of_all_calls_is_not_slowed_down_for_that() {
    for seed in 0..3 {
        for (rate, least) in [(None, 100.0), (Some(100.0), 70.0), (Some(10.0), 7.0)] {
            let table = Throttling::new(f64::INFINITY, 30, seed);
            let taken = consume_from(table, &Limiter::new(rate), 8, 120).await.taken / 120.0;
            assert!(taken > least, "seed {seed}: {taken} units/s at a rate of {rate:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pace_that_fell_comes_back_once_calls_go_through_again() {
    let limiter = Limiter::new(None);
    consume(&limiter, 8, 1.0, 4).await;
    for _ in 0..30 {
        limiter.throttled();
        sleep(Duration::from_secs(1)).await;
    }
    assert!(limiter.pace().unwrap() < 5.0, "{:?}", limiter.pace());
    let seconds = consume(&limiter, 8, 1.0, 20).await;
    assert!(seconds[19] > 300.0, "{seconds:?}");
}
