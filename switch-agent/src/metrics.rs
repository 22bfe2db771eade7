//! The counters for Prometheus and whatever else reads OpenMetrics, over HTTP at `/metrics`.

use std::{collections::BTreeMap, fmt, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::{
    api::{AnyStats, Counters, Stats},
    control::Backend,
};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics' address cannot be used.
#[derive(Debug, Error)]
#[error("cannot listen on {address} for --metrics: {source}; use another address or port")]
pub struct MetricsError {
    address: SocketAddr,
    source: io::Error,
}

/// Listens at an address, so that it is known to be free before anything else is done.
///
/// # Errors
/// It cannot be used.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, MetricsError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| MetricsError { address, source })
}

/// Answers until `shutdown` is done.
///
/// # Errors
/// What the listener says.
pub async fn serve(
    listener: TcpListener,
    backend: Arc<dyn Backend>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(answer))
        .with_state(backend);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
}

async fn answer(State(backend): State<Arc<dyn Backend>>) -> Response {
    let encoded = match backend.stats().await {
        Ok(AnyStats::Switch(stats)) => encode(*stats).map_err(|error| error.to_string()),
        // Only `run` has an option for it.
        Ok(AnyStats::Gateway(_)) => Err("a gateway has no metrics".to_owned()),
        Err(message) => Err(message),
    };
    match encoded {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(message) => (StatusCode::INTERNAL_SERVER_ERROR, message).into_response(),
    }
}

/// The counters as OpenMetrics text.
fn encode(stats: Stats) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("switch_agent");
    registry.register_collector(Box::new(Collected(stats)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Collected(Stats);

/// A value with its labels.
type Row<'a> = (Vec<(&'a str, &'a str)>, u64);

impl Collector for Collected {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Every field, so that a new one is not forgotten here.
        let Stats {
            misses,
            misses_lost,
            moves,
            moves_in_datapath,
            records_lost,
            created,
            questions,
            conflicts,
            unconfirmed,
            refused,
            drops,
            late,
            flooded,
            learning_packets,
            passed,
            handover_overtaken,
            learn_us,
            ports,
            sites,
            bindings,
            agent: _,
        } = &self.0;
        let mut out = Families(encoder);
        for (name, help, value) in [
            ("misses", "Frames handed to the agent", misses),
            (
                "misses_lost",
                "Frames the agent had no room for",
                misses_lost,
            ),
            ("moves", "Bindings that changed their site", moves),
            (
                "moves_in_datapath",
                "Those that the datapath has moved by itself",
                moves_in_datapath,
            ),
            (
                "records_lost",
                "What the datapath has learned and had no room to tell the agent of",
                records_lost,
            ),
            ("created", "Bindings made", created),
            (
                "questions",
                "Questions to old sites whether an address still answers there",
                questions,
            ),
            (
                "conflicts",
                "Moves after which the address still answered at its old site",
                conflicts,
            ),
            (
                "unconfirmed",
                "Moves of which no old site was asked, for too many were",
                unconfirmed,
            ),
            (
                "late",
                "Frames from a site that was just left, delivered",
                late,
            ),
            ("flooded", "Frames sent to every site", flooded),
            (
                "learning_packets",
                "Learning packets from gateways",
                learning_packets,
            ),
            ("passed", "Frames left to the host", passed),
            (
                "overtaken",
                "Frames that a handover could not keep in order",
                handover_overtaken,
            ),
        ] {
            out.counter(name, help, [(vec![], *value)])?;
        }
        let reasons = |counts| by_label("reason", counts);
        out.counter(
            "refused",
            "Evidence that was not believed",
            reasons(refused),
        )?;
        out.counter("drops", "Frames dropped", reasons(drops))?;
        let of_ports = ports
            .iter()
            .map(|(name, port)| (name.as_str(), &port.counters));
        let of_sites = sites
            .iter()
            .map(|(name, site)| (name.as_str(), &site.counters));
        out.traffic("port", &of_ports.collect::<Vec<_>>())?;
        out.traffic("site", &of_sites.collect::<Vec<_>>())?;
        let limited = sites.iter().flat_map(|(name, site)| {
            let site_label = ("site", name.as_str());
            let limits = site.limited.iter();
            limits.map(move |(limit, count)| (vec![site_label, ("limit", limit.as_str())], *count))
        });
        let help = "Frames of a site that a limit kept from the agent";
        out.counter("limited", help, limited)?;

        let modes = ports.iter().map(|(name, port)| {
            let mode = port.mode.as_deref().unwrap_or("unknown");
            (vec![("port", name.as_str()), ("mode", mode)], 1)
        });
        out.gauge("port_mode", "How the datapath is attached to a port", modes)?;
        let (bound, room) = (bindings.count, bindings.max);
        out.gauge("bindings", "Bindings there are", [(vec![], bound)])?;
        out.gauge(
            "bindings_max",
            "Bindings there is room for",
            [(vec![], room)],
        )?;
        let quantiles = [
            ("0.5", learn_us.p50),
            ("0.99", learn_us.p99),
            ("1", learn_us.max),
        ];
        out.gauge(
            "learn_microseconds",
            "From a frame's arrival to the new rules, in this run of the agent",
            quantiles.map(|(quantile, value)| (vec![("quantile", quantile)], value)),
        )
    }
}

fn by_label<'a>(
    label: &'a str,
    counts: &'a BTreeMap<String, u64>,
) -> impl Iterator<Item = Row<'a>> {
    let rows = counts.iter();
    rows.map(move |(value, count)| (vec![(label, value.as_str())], *count))
}

/// Metric families on their way out.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn counter<'a>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Row<'a>>,
    ) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in rows {
            // An empty set of labels would be written as `{}`.
            if labels.is_empty() {
                family.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            } else {
                let mut row = family.encode_family(&labels)?;
                row.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
        }
        Ok(())
    }

    fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Row<'a>>,
    ) -> fmt::Result {
        let kind = MetricType::Gauge;
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in rows {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn traffic(&mut self, of: &str, all: &[(&str, &Counters)]) -> fmt::Result {
        type Pick = fn(&Counters) -> [(&'static str, u64); 2];
        let packets: Pick = |counters| [("rx", counters.rx_packets), ("tx", counters.tx_packets)];
        let bytes: Pick = |counters| [("rx", counters.rx_bytes), ("tx", counters.tx_bytes)];
        for (what, pick) in [("packets", packets), ("bytes", bytes)] {
            let rows = all.iter().flat_map(|(name, counters)| {
                let row = |(way, count)| (vec![(of, *name), ("direction", way)], count);
                pick(counters).map(row)
            });
            let help = format!("Traffic of a {of} in {what}");
            self.counter(&format!("{of}_{what}"), &help, rows)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        thread,
    };

    use tokio::sync::oneshot;

    use super::*;
    use crate::{api::tests::stats, control::fake::Fake};

    #[test]
    fn every_counter_is_there() {
        let text = encode(stats()).expect("text");
        for line in [
            "# TYPE switch_agent_misses counter",
            "switch_agent_misses_total 7",
            "switch_agent_records_lost_total 19",
            "switch_agent_learning_packets_total 13",
            "switch_agent_conflicts_total 16",
            "switch_agent_refused_total{reason=\"pinned\"} 4",
            "switch_agent_drops_total{reason=\"malformed\"} 5",
            "switch_agent_port_packets_total{port=\"c0\",direction=\"rx\"} 20",
            "switch_agent_port_bytes_total{port=\"t0\",direction=\"tx\"} 3100",
            "switch_agent_site_packets_total{site=\"dc1\",direction=\"tx\"} 41",
            "switch_agent_limited_total{site=\"dc1\",limit=\"miss-rate\"} 14",
            "switch_agent_port_mode{port=\"c0\",mode=\"native\"} 1",
            "switch_agent_bindings 12",
            "switch_agent_learn_microseconds{quantile=\"0.99\"} 95",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
    }

    #[test]
    fn they_are_served_over_http() {
        let (send_address, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let free = "127.0.0.1:0".parse().expect("an address");
                let listener = listen(free).await.expect("a listener");
                let address = listener.local_addr().expect("an address");
                let taken = listen(address).await.expect_err("taken");
                assert!(taken.to_string().contains("use another"), "{taken}");
                send_address.send(address).expect("a reader");
                let stopped = async { drop(stopped.await) };
                let backend = Arc::new(Fake::default());
                serve(listener, backend, stopped).await.expect("served");
            });
        });
        let address = address.recv().expect("an address");
        let get = |path: &str| {
            let mut stream = TcpStream::connect(address).expect("connected");
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            .expect("written");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer
        };
        let answer = get("/metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("switch_agent_moves_total 2"), "{answer}");
        assert!(get("/").starts_with("HTTP/1.1 404"));
        drop(stop);
        serving.join().expect("the server");
    }
}
