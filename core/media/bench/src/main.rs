//! Compares our thumbnails with those of sharp on the same files in the same minute.
//! Each measure is a process of its own, ours and sharp's in turn; figures are medians over the rounds.
#![expect(clippy::disallowed_macros, reason = "a command line prints")]
#![expect(clippy::disallowed_methods, reason = "a command line opens files and starts programs")]

mod likeness;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use jam_media::FitTo;
use jam_media::{MediaLimits, ThumbnailFormat, image_thumbnail, sniff};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::{Deserialize, Serialize};

#[derive(Parser)]
enum Arguments {
    /// Compares on every file of a folder that `node sharp.js inputs` made, and prints a table.
    Compare {
        /// The folder of the inputs.
        folder: PathBuf,
        /// Only files whose name has this in it.
        #[arg(long, default_value = "")]
        only: String,
        /// The variant to make.
        #[arg(long, default_value = "default")]
        variant: String,
        /// How often each side is measured.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How many thumbnails a measure makes.
        #[arg(long, default_value_t = 10)]
        times: usize,
    },
    /// Makes thumbnails of one file and prints what one costs.
    Time { file: PathBuf, variant: String, times: usize, out: PathBuf },
}

/// What one thumbnail costs.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    cpu_ms: f64,
    wall_ms: f64,
    rss_growth_mib: f64,
}

fn main() -> Result<()> {
    match Arguments::parse() {
        Arguments::Compare { folder, only, variant, rounds, times } => {
            compare(&folder, &only, &variant, rounds, times)
        }
        Arguments::Time { file, variant, times, out } => {
            let cost = time(&file, &variant, times, &out)?;
            println!("{}", serde_json::to_string(&cost)?);
            Ok(())
        }
    }
}

/// Our side of a measure.
fn time(path: &Path, variant: &str, times: usize, out: &Path) -> Result<Cost> {
    let frame = match variant {
        "default" => FitTo::Cover(400, 225),
        "small" => FitTo::Inside(256),
        "medium" => FitTo::Inside(640),
        "large" => FitTo::Inside(1440),
        _ => anyhow::bail!("no such variant"),
    };
    let file = File::open(path)?;
    let mut head = vec![0; 4096];
    let length = file.read_at(&mut head, 0)?;
    let mime = sniff(&head[..length], "").mime;
    let limits = MediaLimits::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let make = || {
        let file = file.try_clone()?;
        let made = runtime.block_on(image_thumbnail(file, mime, frame, ThumbnailFormat::WebP, &limits));
        anyhow::Ok(made?)
    };
    let before = peak_rss_mib()?;
    std::fs::write(out, make()?.bytes)?;
    let (start, cpu) = (Instant::now(), cpu_ms()?);
    for _ in 0..times {
        make()?;
    }
    let count = times as f64;
    let largest_child = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() as f64 / 1024.0;
    Ok(Cost {
        cpu_ms: (cpu_ms()? - cpu) / count,
        wall_ms: start.elapsed().as_secs_f64() * 1e3 / count,
        rss_growth_mib: peak_rss_mib()? - before + largest_child,
    })
}

/// The most memory this process has had, by the kernel's count, which starts at zero with the program.
fn peak_rss_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// Of this process and its children.
fn cpu_ms() -> Result<f64> {
    let milliseconds = |time: TimeVal| time.num_microseconds() as f64 / 1e3;
    let mut sum = 0.0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        sum += milliseconds(usage.user_time()) + milliseconds(usage.system_time());
    }
    Ok(sum)
}

fn compare(folder: &Path, only: &str, variant: &str, rounds: usize, times: usize) -> Result<()> {
    println!(
        "| input, {variant} | CPU ms ours / sharp | ratio (range) | wall ms | RSS growth MiB | bytes | SSIM |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains(only) {
            match row(&path, variant, rounds, times) {
                Ok(row) => println!("| {name} | {row}"),
                Err(fault) => println!("| {name} | {fault} | | | | | |"),
            }
        }
    }
    Ok(())
}

/// Measures both sides on one file in turn.
fn row(file: &Path, variant: &str, rounds: usize, times: usize) -> Result<String> {
    let (ours, theirs) = (Path::new("/tmp/jam-bench-ours.webp"), Path::new("/tmp/jam-bench-sharp.webp"));
    let mut costs = Vec::new();
    for _ in 0..rounds {
        let mut own = Command::new(std::env::current_exe()?);
        own.arg("time").args([file, Path::new(variant)]).arg(times.to_string()).arg(ours);
        let mut peer = Command::new("node");
        peer.args(["sharp.js", "time"]).args([file, Path::new(variant)]).arg(times.to_string()).arg(theirs);
        let own = measured(own)?;
        let peer = measured(peer).with_context(|| format!("{:.1} ms, sharp cannot", own.cpu_ms))?;
        costs.push((own, peer));
    }
    let reference = Path::new("/tmp/jam-bench-reference.png");
    let made = Command::new("node").args(["sharp.js", "reference"]).args([file, reference]).status()?;
    ensure!(made.success(), "no reference");
    let by = |of: fn(&(Cost, Cost)) -> f64| median(costs.iter().map(of).collect());
    let mut ratios: Vec<f64> = costs.iter().map(|(own, peer)| peer.cpu_ms / own.cpu_ms).collect();
    ratios.sort_by(f64::total_cmp);
    Ok(format!(
        "{:.1} / {:.1} | **{:.2}** ({:.2}-{:.2}) | {:.1} / {:.1} | {:.0} / {:.0} | {} / {} | {} / {} |",
        by(|cost| cost.0.cpu_ms),
        by(|cost| cost.1.cpu_ms),
        median(ratios.clone()),
        ratios.first().copied().unwrap_or_default(),
        ratios.last().copied().unwrap_or_default(),
        by(|cost| cost.0.wall_ms),
        by(|cost| cost.1.wall_ms),
        by(|cost| cost.0.rss_growth_mib),
        by(|cost| cost.1.rss_growth_mib),
        std::fs::metadata(ours)?.len(),
        std::fs::metadata(theirs)?.len(),
        shown(likeness::to_whole(ours, reference)?),
        shown(likeness::to_whole(theirs, reference)?),
    ))
}

fn shown(likeness: Option<f64>) -> String {
    likeness.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

fn measured(mut command: Command) -> Result<Cost> {
    let run = command.output()?;
    let error = || String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or_default().to_owned();
    ensure!(run.status.success(), "{}", error());
    Ok(serde_json::from_slice(&run.stdout)?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
