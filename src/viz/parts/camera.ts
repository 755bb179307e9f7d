/** The camera of figures in three dimensions. */
import { mat4, vec3 } from "gl-matrix";

/** How far the camera stands from the middle of points within a sphere of radius 1. */
export const DISTANCE = 3.2;
/** Focal length over half the height of the picture: the sphere fills about nine tenths of it. */
export const LENS = 2.7;

/** From where a cloud is seen, in radians: around the second axis, and above the plane of the others. */
export interface View {
  readonly azimuth: number;
  readonly elevation: number;
}

/** Where points stand on a picture: pixels from the left and the top, and the distance from the camera. */
export type Projection = (point: readonly [number, number, number]) => readonly [number, number, number];

/** The projection of a view onto a picture of some size. */
export function cameraOf({ azimuth, elevation }: View, width: number, height: number): Projection {
  const eye = vec3.fromValues(
    DISTANCE * Math.cos(elevation) * Math.sin(azimuth),
    DISTANCE * Math.sin(elevation),
    DISTANCE * Math.cos(elevation) * Math.cos(azimuth),
  );
  const looking = mat4.lookAt(mat4.create(), eye, [0, 0, 0], [0, 1, 0]);
  const perspective = mat4.perspective(mat4.create(), 2 * Math.atan(1 / LENS), 1, 0.01, 100);
  const side = Math.min(width, height) / 2;
  const seen = vec3.create();
  return (point) => {
    vec3.transformMat4(seen, point, looking);
    const depth = -seen[2];
    vec3.transformMat4(seen, seen, perspective);
    return [width / 2 + side * seen[0], height / 2 - side * seen[1], depth];
  };
}
