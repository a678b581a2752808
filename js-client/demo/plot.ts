/** Points on a canvas, brighter where there are more of them. */

// Each channel is as bright as the logarithm of the count says, times this.
const COLOUR = [70, 110, 200] as const;
const OPAQUE = 255;
const CHANNELS = 4;

/** A plot of the square around the origin: points are added, and drawn with the next frame. */
export class Plot {
  private readonly context: CanvasRenderingContext2D;
  private readonly image: ImageData;
  private readonly counts: Uint32Array;
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
      this.counts[at] = (this.counts[at] as number) + 1;
    }
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  /** Forgets all points. */
  clear(): void {
    this.counts.fill(0);
    this.draw();
  }

  private draw(): void {
    this.frame = 0;
    const { data } = this.image;
    const [red, green, blue] = COLOUR;
    for (let at = 0; at < this.counts.length; at++) {
      const light = Math.log1p(this.counts[at] as number);
      const first = at * CHANNELS;
      data[first] = light * red;
      data[first + 1] = light * green;
      data[first + 2] = light * blue;
      data[first + 3] = light > 0 ? OPAQUE : 0;
    }
    this.context.putImageData(this.image, 0, 0);
  }
}
