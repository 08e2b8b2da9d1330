/** A node by the shape of its state, with a ring around what is selected or holds the mesh together. */
import type { Attributes } from "graphology-types";
import { NodeProgram } from "sigma/rendering";
import type { NodeDisplayData, RenderParams } from "sigma/types";
import { floatColor } from "sigma/utils";
import type { LinkAttributes } from "./edge-program.ts";

/** What a node carries beside what sigma needs. */
export interface NodeAttributes extends Attributes {
  x: number;
  y: number;
  /** Pixels. */
  size: number;
  color: string;
  /** See `SHAPE`. */
  shape: number;
  ringColor: string;
  /** 0 none, 1 a thin ring, 2 a thick one. */
  ring: number;
  label: string;
  hidden: boolean;
  forceLabel: boolean;
  zIndex: number;
}

const VERTEX = /* glsl */ `
attribute vec4 a_id;
attribute vec4 a_color;
attribute vec4 a_ringColor;
attribute vec2 a_position;
attribute vec3 a_look;
attribute vec2 a_corner;

uniform mat3 u_matrix;
uniform float u_sizeRatio;
uniform float u_correctionRatio;

varying vec4 v_color;
varying vec4 v_ringColor;
varying vec2 v_place;
varying vec2 v_look;
varying float v_pixel;

const float REACH = 2.0;

void main() {
  float radius = a_look.x * u_correctionRatio / u_sizeRatio * 2.0;
  vec2 position = a_position + a_corner * radius * REACH;
  gl_Position = vec4((u_matrix * vec3(position, 1.0)).xy, 0.0, 1.0);
  v_place = a_corner * REACH;
  v_look = a_look.yz;
  v_pixel = u_correctionRatio * 2.0 / radius;
  #ifdef PICKING_MODE
  v_color = a_id;
  v_ringColor = a_id;
  #else
  v_color = a_color;
  v_ringColor = a_ringColor;
  #endif
  const float bias = 255.0 / 254.0;
  v_color.a *= bias;
  v_ringColor.a *= bias;
}
`;

const FRAGMENT = /* glsl */ `
precision highp float;

varying vec4 v_color;
varying vec4 v_ringColor;
varying vec2 v_place;
varying vec2 v_look;
varying float v_pixel;
uniform vec3 u_ground;

// Below 0 inside of the shape.
float distance_to(float shape, vec2 place) {
  float away = length(place);
  if (shape < 0.5) return away - 1.0;
  if (shape < 1.5) return max(abs(place.x) * 0.866025 + place.y * 0.5, -place.y) - 0.62;
  if (shape < 2.5) return max(abs(place.x), abs(place.y)) - 0.86;
  if (shape < 3.5) return abs(away - 0.74) - 0.24;
  return min(abs(away - 0.84) - 0.14, away - 0.36);
}

void main(void) {
  float away = length(v_place);
  #ifdef PICKING_MODE
  if (away > 1.25) discard;
  gl_FragColor = v_color;
  #else
  float ink = clamp(0.5 - distance_to(v_look.x, v_place) / v_pixel, 0.0, 1.0);
  float width = v_look.y < 0.5 ? 0.0 : v_look.y < 1.5 ? 1.6 * v_pixel : 3.0 * v_pixel;
  float middle = 1.3 + 1.5 * v_pixel;
  float ring = width == 0.0 ? 0.0 : clamp(0.5 + (width * 0.5 - abs(away - min(middle, 1.9))) / v_pixel, 0.0, 1.0);
  vec4 shown = vec4(v_color.rgb, 1.0) * (ink * v_color.a);
  vec4 around = vec4(v_ringColor.rgb, 1.0) * (ring * v_ringColor.a);
  // Lines end in the middle of a node: under its shape and ring there is ground.
  float reach = width == 0.0 ? 1.12 : min(middle, 1.9);
  vec4 ground = vec4(u_ground, 1.0) * clamp(0.5 - (away - reach) / v_pixel, 0.0, 1.0);
  vec4 over = shown + around * (1.0 - shown.a);
  gl_FragColor = over + ground * (1.0 - over.a);
  #endif
}
`;

const UNIFORMS = ["u_matrix", "u_sizeRatio", "u_correctionRatio", "u_ground"] as const;
/** Of the theme: what lies under the shapes, 0 to 1 each. */
let ground: readonly [number, number, number] = [0, 0, 0];

export function setGround(color: string): void {
  const part = (at: number) => (Number.parseInt(color.slice(at, at + 2), 16) || 0) / 255;
  ground = [part(1), part(3), part(5)];
}
const { FLOAT, UNSIGNED_BYTE } = WebGLRenderingContext;
const CORNERS = [
  [-1, 1],
  [-1, -1],
  [1, 1],
  [1, 1],
  [-1, -1],
  [1, -1],
];

export class GraphNodeProgram extends NodeProgram<(typeof UNIFORMS)[number], NodeAttributes, LinkAttributes> {
  getDefinition() {
    return {
      VERTICES: 6,
      VERTEX_SHADER_SOURCE: VERTEX,
      FRAGMENT_SHADER_SOURCE: FRAGMENT,
      METHOD: WebGLRenderingContext.TRIANGLES,
      UNIFORMS,
      ATTRIBUTES: [
        { name: "a_position", size: 2, type: FLOAT },
        { name: "a_look", size: 3, type: FLOAT },
        { name: "a_color", size: 4, type: UNSIGNED_BYTE, normalized: true },
        { name: "a_ringColor", size: 4, type: UNSIGNED_BYTE, normalized: true },
        { name: "a_id", size: 4, type: UNSIGNED_BYTE, normalized: true },
      ],
      CONSTANT_ATTRIBUTES: [{ name: "a_corner", size: 2, type: FLOAT }],
      CONSTANT_DATA: CORNERS,
    };
  }

  processVisibleItem(nodeIndex: number, startIndex: number, data: NodeDisplayData & Partial<NodeAttributes>): void {
    const { array } = this;
    let at = startIndex;
    array[at++] = data.x;
    array[at++] = data.y;
    array[at++] = data.size;
    array[at++] = data.shape ?? 0;
    array[at++] = data.ring ?? 0;
    array[at++] = floatColor(data.color);
    array[at++] = floatColor(data.ringColor ?? data.color);
    array[at++] = nodeIndex;
  }

  setUniforms(
    { matrix, sizeRatio, correctionRatio }: RenderParams,
    { gl, uniformLocations }: { gl: WebGLRenderingContext; uniformLocations: Record<string, WebGLUniformLocation> },
  ): void {
    gl.uniform1f(uniformLocations.u_correctionRatio ?? null, correctionRatio);
    gl.uniform1f(uniformLocations.u_sizeRatio ?? null, sizeRatio);
    gl.uniformMatrix3fv(uniformLocations.u_matrix ?? null, false, matrix);
    gl.uniform3f(uniformLocations.u_ground ?? null, ...ground);
  }
}
