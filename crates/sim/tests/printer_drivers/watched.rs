//! A printer that is watched, and what it has told so far.

use printer::{Command, Connection, Error, Order, Past, PrinterState, Told};
use std::future::Future;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(90), future).await.expect("within 90 s")
}

pub(crate) struct Watched {
    told: mpsc::Receiver<Told>,
    orders: mpsc::Sender<Order>,
    pub(crate) over: JoinHandle<Error>,
    pub(crate) ended: Vec<Past>,
    pub(crate) last: PrinterState,
}

impl Watched {
    pub(crate) fn new(connection: Connection) -> Self {
        let (told_in, told) = mpsc::channel(64);
        let (orders, mut orders_out) = mpsc::channel(4);
        let over =
            tokio::spawn(
                async move { printer::watch(&connection, told_in, &mut orders_out).await },
            );
        Self { told, orders, over, ended: Vec::new(), last: PrinterState::default() }
    }

    fn keep(&mut self, told: Told) {
        match told {
            Told::State(state) => self.last = (*state).clone(),
            Told::Ended(past) => self.ended.extend(past),
            Told::Still | Told::Files | Told::Certificate(_) => {}
        }
    }

    pub(crate) async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&PrinterState) -> bool,
    ) -> PrinterState {
        while !is_so(&self.last) {
            let Ok(told) = timeout(Duration::from_secs(60), self.told.recv()).await else {
                panic!("not {what}: {:?}", self.last);
            };
            let Some(told) = told else {
                panic!("lost before {what}: {:?}", (&mut self.over).await)
            };
            self.keep(told);
        }
        self.last.clone()
    }

    pub(crate) async fn until_ended(&mut self, count: usize) -> Past {
        while self.ended.len() < count {
            let told = soon(self.told.recv()).await.expect("watched until the end");
            self.keep(told);
        }
        self.ended[count - 1].clone()
    }

    pub(crate) async fn order(&mut self, command: Command) -> Result<(), Error> {
        let (done, mut is_done) = oneshot::channel();
        soon(self.orders.send(Order { command, done })).await.unwrap();
        soon(async {
            loop {
                tokio::select! {
                    done = &mut is_done => return done.expect("every order is answered"),
                    Some(told) = self.told.recv() => self.keep(told),
                }
            }
        })
        .await
    }
}
