// The camera of the machine that shows a page.

export class Camera {
  /** Opens the camera and shows it in a video element. */
  async start(video) {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give the camera to pages of https addresses and of this machine (localhost) only.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      const why = {
        NotAllowedError: "The browser was not allowed to use the camera. Allow it beside the address, and try again.",
        NotFoundError: "There is no camera.",
        NotReadableError: "The camera cannot be opened; another program may be using it.",
      };
      throw new Error(why[error.name] ?? `The camera cannot be used: ${error.message}`);
    }
    this.video = video;
    video.srcObject = this.stream;
    await video.play();
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = undefined;
    if (this.video) this.video.srcObject = null;
  }

  /** What the camera sees now, as a JPEG. */
  async image() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  }

  /** The square in the middle of what the camera sees now, `side` pixels wide and high: red, green, blue and alpha of each. */
  frame(side) {
    const { videoWidth: width, videoHeight: height } = this.video;
    const least = Math.min(width, height);
    this.canvas ??= new OffscreenCanvas(side, side);
    [this.canvas.width, this.canvas.height] = [side, side];
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(this.video, (width - least) / 2, (height - least) / 2, least, least, 0, 0, side, side);
    return new Uint8Array(context.getImageData(0, 0, side, side).data.buffer);
  }
}
