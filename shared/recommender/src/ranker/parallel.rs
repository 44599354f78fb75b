//! Work on several threads whose results do not depend on how many there are.

use std::num::NonZero;
use std::thread;

/// What `work` makes of every item, in the order of the items; each thread takes neighbouring items.
pub(super) fn map<T: Send, R: Send>(
    mut items: Vec<T>,
    threads: NonZero<usize>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let share = items.len().div_ceil(threads.get()).max(1);
    let work = &work;
    thread::scope(|scope| {
        let mut workers = Vec::new();
        while items.len() > share {
            let part = items.split_off((items.len() - 1) / share * share);
            workers.push(scope.spawn(move || part.into_iter().map(work).collect::<Vec<R>>()));
        }
        let mut results: Vec<R> = items.into_iter().map(work).collect();
        for worker in workers.into_iter().rev() {
            results.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items_on_any_number_of_threads() {
        for (threads, items) in [(1, 5), (2, 5), (3, 7), (9, 4), (4, 0)] {
            let items: Vec<usize> = (0..items).collect();
            let doubled = map(items.clone(), NonZero::new(threads).unwrap(), |item| item * 2);
            assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
