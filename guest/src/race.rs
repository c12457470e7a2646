//! Waits for the first or for both of two futures. Tokio's macros for this bring a procedural macro, which a build for
//! a static C library can't have.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Which of two came first.
pub enum Either<A, B> {
    Left(A),
    Right(B),
}

/// Resolves with the first of the two, the left one if both are there, and drops the other.
pub async fn race<A: Future, B: Future>(left: A, right: B) -> Either<A::Output, B::Output> {
    tokio::pin!(left, right);
    Race { left, right }.await
}

/// Resolves when both have succeeded or, with its error, when one has failed.
pub async fn both<E>(
    left: impl Future<Output = Result<(), E>>,
    right: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    tokio::pin!(left, right);
    match race(&mut left, &mut right).await {
        Either::Left(done) => {
            done?;
            right.await
        }
        Either::Right(done) => {
            done?;
            left.await
        }
    }
}

struct Race<'a, A, B> {
    left: Pin<&'a mut A>,
    right: Pin<&'a mut B>,
}

impl<A: Future, B: Future> Future for Race<'_, A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.left.as_mut().poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        self.right.as_mut().poll(context).map(Either::Right)
    }
}
