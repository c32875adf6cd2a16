//! A server of the test's own, and what all tests do with one.

use axum::Router;
use axum::serve::ListenerExt;
use printer::{Command, Connection, Error, Order, PrinterState, Protocol, Told};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Ends with the test.
pub(crate) struct Fake {
    address: SocketAddr,
    task: JoinHandle<()>,
    accepted: Arc<AtomicUsize>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(crate) async fn new(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = accepted.clone();
        let listener = listener.tap_io(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, task, accepted }
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn connection(&self, protocol: Protocol) -> Connection {
        let mut connection = Connection::new(protocol, "127.0.0.1");
        connection.port = self.address.port();
        connection.secret = "secret".into();
        connection
    }
}

/// A printer that is watched.
pub(crate) struct Watched {
    told: mpsc::Receiver<Told>,
    orders: mpsc::Sender<Order>,
    pub(crate) over: JoinHandle<Error>,
}

impl Watched {
    pub(crate) fn new(connection: Connection) -> Self {
        let (told_in, told) = mpsc::channel(16);
        let (orders, mut orders_out) = mpsc::channel(4);
        let over =
            tokio::spawn(
                async move { printer::watch(&connection, told_in, &mut orders_out).await },
            );
        Self { told, orders, over }
    }

    /// Stops listening, and gives what the watch ends with.
    pub(crate) fn stop(self) -> JoinHandle<Error> {
        self.over
    }

    pub(crate) async fn next(&mut self) -> Told {
        soon(self.told.recv()).await.expect("it is still watched")
    }

    /// The next state that is so.
    pub(crate) async fn until(&mut self, is_so: impl Fn(&PrinterState) -> bool) -> PrinterState {
        loop {
            if let Told::State(state) = self.next().await
                && is_so(&state)
            {
                return (*state).clone();
            }
        }
    }

    pub(crate) async fn order(&mut self, command: Command) -> Result<(), Error> {
        let (done, mut is_done) = oneshot::channel();
        soon(self.orders.send(Order { command, done })).await.unwrap();
        // What it tells meanwhile must not fill the channel.
        soon(async {
            loop {
                tokio::select! {
                    done = &mut is_done => return done.expect("every order is answered"),
                    _ = self.told.recv() => {}
                }
            }
        })
        .await
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.expect("within 30 s")
}
