// The camera of the machine that shows a page.

const WHY = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it beside the address, and try again.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera cannot be opened; another program may be using it.",
};

export class Camera {
  /** Whether it is open. */
  get on() {
    return Boolean(this.stream);
  }

  /** Opens the camera and shows it in a video element. Calls while it is being opened wait for the same camera. */
  start(video) {
    this.opening ??= this.open(video).finally(() => (this.opening = undefined));
    return this.opening;
  }

  async open(video) {
    if (this.stream) return;
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give the camera to pages of https addresses and of this machine (localhost) only.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      throw new Error(WHY[error.name] ?? `The camera cannot be used: ${error.message}`);
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

  /** What the camera sees now. */
  canvas() {
    const canvas = new OffscreenCanvas(this.video.videoWidth, this.video.videoHeight);
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return canvas;
  }

  /** What the camera sees now, as a JPEG. */
  async image() {
    return this.canvas().convertToBlob({ type: "image/jpeg", quality: 0.9 });
  }
}
