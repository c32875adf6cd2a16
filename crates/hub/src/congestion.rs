//! Congestion control for requests and answers: CUBIC without pacing.
//!
//! noq spreads a congestion window over a round trip. For a stream that never ends that costs
//! nothing; for URBs, each of which is waited for, it adds most of a round trip to every transfer
//! that is not small against the window (measured: 205 ms instead of 160 ms for 120 KiB of a disk
//! at a round trip of 50 ms). The kernel's TCP, which USB/IP rides on, does not pace CUBIC either.
//! The window, and so what a thin link has to hold, stays CUBIC's.

use iroh::endpoint::{Controller, ControllerFactory, ControllerMetrics, RttEstimator};
use noq_proto::congestion::CubicConfig;
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes per second: faster than the links that URBs travel on. The pacer's bucket, 256 packets,
/// leaves at once.
const RATE: u64 = 1_250_000_000;

/// Makes a controller for each path.
#[derive(Debug, Default)]
pub(crate) struct Unpaced(Arc<CubicConfig>);

impl ControllerFactory for Unpaced {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Cubic(self.0.clone().build(now, current_mtu)))
    }
}

#[derive(Debug)]
struct Cubic(Box<dyn Controller>);

impl Controller for Cubic {
    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = self.0.metrics();
        metrics.pacing_rate = Some(RATE);
        metrics
    }

    // the rest is CUBIC's own

    fn on_sent(&mut self, now: Instant, bytes: u64, largest_pn: u64) {
        self.0.on_sent(now, bytes, largest_pn);
    }
    fn on_packet_sent(&mut self, now: Instant, bytes: u16, pn: u64) {
        self.0.on_packet_sent(now, bytes, pn);
    }
    fn on_cwnd_limited(&mut self) {
        self.0.on_cwnd_limited();
    }
    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        pn: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.0.on_ack(now, sent, bytes, pn, app_limited, rtt);
    }
    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_acked: Option<u64>,
    ) {
        self.0.on_end_acks(now, in_flight, app_limited, largest_acked);
    }
    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        is_ecn: bool,
        lost_bytes: u64,
        largest_lost_pn: u64,
    ) {
        self.0.on_congestion_event(
            now,
            sent,
            is_persistent_congestion,
            is_ecn,
            lost_bytes,
            largest_lost_pn,
        );
    }
    fn on_packet_lost(&mut self, lost_bytes: u16, pn: u64, now: Instant) {
        self.0.on_packet_lost(lost_bytes, pn, now);
    }
    fn on_spurious_congestion_event(&mut self) {
        self.0.on_spurious_congestion_event();
    }
    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.on_mtu_update(new_mtu);
    }
    fn on_ack_frequency_update(&mut self, threshold: u64, max_ack_delay: Duration) {
        self.0.on_ack_frequency_update(threshold, max_ack_delay);
    }
    fn window(&self) -> u64 {
        self.0.window()
    }
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self(self.0.clone_box()))
    }
    fn initial_window(&self) -> u64 {
        self.0.initial_window()
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.0.into_any()
    }
}
