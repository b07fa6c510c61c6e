// The peer of the comparison; also makes its inputs and references.
//   node sharp.js inputs <folder of images> <folder>        one input for each format
//   node sharp.js reference <file> <out.png>                the whole image, upright, in sRGB
//   node sharp.js time <file> <variant> <times> <out.webp>  a line of JSON with what one thumbnail costs
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

sharp.cache(false);
sharp.concurrency(1);

const VARIANTS = {
  default: { width: 400, height: 225, fit: 'cover' },
  small: { width: 256, height: 256, fit: 'inside' },
  medium: { width: 640, height: 640, fit: 'inside' },
  large: { width: 1440, height: 1440, fit: 'inside' },
};

const open = (file) => sharp(file, { limitInputPixels: 100_000_000 }).rotate();

const thumbnail = (file, variant) => open(file).resize({ ...VARIANTS[variant], withoutEnlargement: true });

const webp = (file, variant) => thumbnail(file, variant).webp({ quality: 80 }).toBuffer();

// In MiB, by the kernel's count, which starts at zero with the program.
const peakRss = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;

async function time(file, variant, times, out) {
  const rssBefore = peakRss();
  writeFileSync(out, await webp(file, variant));
  const [start, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
  for (let round = 0; round < times; round += 1) await webp(file, variant);
  const wall = Number(process.hrtime.bigint() - start) / 1e6;
  const { user, system } = process.cpuUsage(cpu);
  console.log(
    JSON.stringify({
      cpu_ms: (user + system) / 1000 / times,
      wall_ms: wall / times,
      rss_growth_mib: peakRss() - rssBefore,
    }),
  );
}

const reference = (file, out) => open(file).toColourspace('srgb').png({ compressionLevel: 1 }).toFile(out);

async function inputs(images, folder) {
  mkdirSync(folder, { recursive: true });
  const photo = sharp(join(images, 'mate/abstract/Elephants_5640x3172.jpg'));
  const drawing = sharp(join(images, 'gnome/pixels-l.webp'));
  const sized = (image, width, height) => image.clone().resize(width, height, { fit: 'cover' });
  const write = async (name, image) => image.toFile(join(folder, name));
  const twelve = sized(photo, 4000, 3000);
  const jpeg = { quality: 90, chromaSubsampling: '4:2:0', mozjpeg: false };
  await write('12mp-turned.jpg', twelve.clone().jpeg(jpeg).withMetadata({ orientation: 6 }));
  await write('12mp-p3.jpg', twelve.clone().jpeg(jpeg).withIccProfile('p3'));
  await write('12mp-444.jpg', twelve.clone().jpeg({ ...jpeg, chromaSubsampling: '4:4:4' }));
  await write('12mp-grey.jpg', twelve.clone().grayscale().jpeg(jpeg));
  await write('24mp.jpg', sized(photo, 6000, 4000).jpeg(jpeg));
  await write('2mp.jpg', sized(photo, 1920, 1080).jpeg(jpeg));
  await write('12mp-progressive.jpg', twelve.clone().jpeg({ ...jpeg, progressive: true }));
  await write('20mp-progressive.jpg', sized(photo, 5472, 3648).jpeg({ ...jpeg, progressive: true }));
  await write('12mp-cmyk.jpg', twelve.clone().toColourspace('cmyk').jpeg(jpeg));
  const mask = Buffer.from('<svg width="3840" height="2160"><circle cx="1920" cy="1080" r="1000"/></svg>');
  const cut = sized(photo, 3840, 2160).ensureAlpha().composite([{ input: mask, blend: 'dest-in' }]);
  await write('8mp-alpha.png', cut.clone().png());
  await write('8mp-rgb.png', sized(drawing, 3840, 2160).png());
  await write('8mp-palette.png', sized(drawing, 3840, 2160).png({ palette: true }));
  await write('8mp-interlaced.png', sized(photo, 3840, 2160).png({ progressive: true }));
  await write('5mp-16bit.png', sized(photo, 2880, 1800).toColourspace('rgb16').png());
  await write('12mp.webp', twelve.clone().webp({ quality: 85 }));
  await write('12mp-lossless.webp', sized(drawing, 4000, 3000).webp({ lossless: true, effort: 1 }));
  await write('2mp.gif', sized(drawing, 1600, 1200).gif());
  await write('12mp-lzw.tif', twelve.clone().tiff({ compression: 'lzw', predictor: 'none' }));
  await write('12mp-deflate.tif', twelve.clone().tiff({ compression: 'deflate', predictor: 'horizontal' }));
  await write('12mp.avif', twelve.clone().avif({ quality: 60, effort: 2 }));
  const half = { quality: 60, effort: 2, chromaSubsampling: '4:2:0' };
  await write('12mp-420.avif', twelve.clone().avif(half));
}

const [, , command, ...given] = process.argv;
await { inputs, reference, time: (file, variant, times, out) => time(file, variant, Number(times), out) }[command](
  ...given,
);
