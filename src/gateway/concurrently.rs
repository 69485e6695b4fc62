//! Waits for several pieces of work, of which a bounded number runs at the same time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Work that yields a value.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs the work, at most `most` pieces at a time, until all of it is done or `end` is. Work that was not done has no value.
pub(super) async fn concurrently<T>(work: Vec<Work<'_, T>>, most: usize, mut end: Work<'_, ()>) -> Vec<Option<T>> {
    let mut done: Vec<Option<T>> = work.iter().map(|_| None).collect();
    let mut waiting = work.into_iter().enumerate();
    let mut running: Vec<(usize, Work<'_, T>)> = waiting.by_ref().take(most).collect();
    poll_fn(|context| {
        let mut at = 0;
        while let Some((index, future)) = running.get_mut(at) {
            let Poll::Ready(value) = future.as_mut().poll(context) else {
                at += 1;
                continue;
            };
            if let Some(place) = done.get_mut(*index) {
                *place = Some(value);
            }
            drop(running.remove(at));
            running.extend(waiting.next());
        }
        if running.is_empty() { Poll::Ready(()) } else { end.as_mut().poll(context) }
    })
    .await;
    done
}

/// The value of the work, unless `end` comes first.
pub(super) async fn before<T>(mut end: Work<'_, ()>, mut work: Work<'_, T>) -> Option<T> {
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => end.as_mut().poll(context).map(|()| None),
    })
    .await
}
