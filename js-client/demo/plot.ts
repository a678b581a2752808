/** Points on a canvas, brighter where there are more of them. */

// What the fullest point is coloured in. Red comes late and blue early, so that places with few
// points are blue, and those with many are white.
const COLOUR = [215, 235, 255] as const;
const POWERS = [2.2, 1.4, 0.7] as const;
const LEVELS = 255;
const CHANNELS = 4;

/** The colours from dark to bright, one after the other. */
const PALETTE = Uint8ClampedArray.from({ length: (LEVELS + 1) * CHANNELS }, (_, at) => {
  const light = Math.floor(at / CHANNELS) / LEVELS;
  const [full, power] = [COLOUR[at % CHANNELS] ?? LEVELS, POWERS[at % CHANNELS] ?? 0];
  return light === 0 ? 0 : full * light ** power;
});

/** A plot of the square around the origin: points are added, and drawn with the next frame. */
export class Plot {
  private readonly context: CanvasRenderingContext2D;
  private readonly image: ImageData;
  private readonly counts: Uint32Array;
  private most = 0;
  private frame = 0;

  /** The square goes `reach` far to each side; what is beyond is not shown. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly reach: number,
  ) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("This browser has no canvas to draw on.");
    this.context = context;
    this.image = context.createImageData(canvas.width, canvas.height);
    this.counts = new Uint32Array(canvas.width * canvas.height);
  }

  /** Adds the points of a batch. */
  add(x: Float64Array, y: Float64Array): void {
    const { width, height } = this.canvas;
    const scale = Math.min(width, height) / (2 * this.reach);
    for (let n = 0; n < x.length; n++) {
      const column = Math.floor(width / 2 + (x[n] as number) * scale);
      const row = Math.floor(height / 2 - (y[n] as number) * scale);
      if (column < 0 || column >= width || row < 0 || row >= height) continue;
      const at = row * width + column;
      const count = (this.counts[at] as number) + 1;
      this.counts[at] = count;
      if (count > this.most) this.most = count;
    }
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  /** Forgets all points. */
  clear(): void {
    this.counts.fill(0);
    this.most = 0;
    this.draw();
  }

  private draw(): void {
    this.frame = 0;
    const { data } = this.image;
    // By the logarithm, so that single points are seen beside crowds.
    const scale = LEVELS / Math.log1p(this.most || 1);
    for (let at = 0; at < this.counts.length; at++) {
      const level = Math.ceil(scale * Math.log1p(this.counts[at] as number));
      const first = at * CHANNELS;
      const colour = Math.min(level, LEVELS) * CHANNELS;
      data[first] = PALETTE[colour] as number;
      data[first + 1] = PALETTE[colour + 1] as number;
      data[first + 2] = PALETTE[colour + 2] as number;
      data[first + 3] = PALETTE[colour + 3] as number;
    }
    this.context.putImageData(this.image, 0, 0);
  }
}
