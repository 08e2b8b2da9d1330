/**
 * A link as two halves: the half at a node is how that node sees its way to the other. Each half has its own colour, width
 * and pattern. Links of several meshes between the same two nodes lie side by side.
 */
import type { Attributes } from "graphology-types";
import { EdgeProgram } from "sigma/rendering";
import type { EdgeDisplayData, NodeDisplayData, RenderParams } from "sigma/types";
import { floatColor } from "sigma/utils";
import type { NodeAttributes } from "./node-program.ts";

/** What an edge carries beside what sigma needs. */
export interface LinkAttributes extends Attributes {
  /** `#rrggbb` of the half at the source; `color` is not used. */
  sourceColor: string;
  targetColor: string;
  /** Pixels. */
  sourceWidth: number;
  targetWidth: number;
  sourceDash: number;
  targetDash: number;
  /** Pixels beside the straight line. */
  lane: number;
  /** Length of the head at the target, and how far before the middle of the target it ends; pixels, 0 = no head. */
  arrow?: number;
  inset?: number;
  color: string;
  size: number;
  zIndex: number;
  hidden: boolean;
}

const VERTEX = /* glsl */ `
attribute vec4 a_id;
attribute vec4 a_sourceColor;
attribute vec4 a_targetColor;
attribute vec4 a_look;
attribute vec3 a_lane;
attribute vec2 a_start;
attribute vec2 a_end;
attribute vec2 a_corner;

uniform mat3 u_matrix;
uniform vec2 u_viewport;
uniform float u_scale;

varying vec4 v_sourceColor;
varying vec4 v_targetColor;
varying vec4 v_look;
varying vec2 v_arrow;
varying float v_along;
varying float v_across;
varying float v_length;

void main() {
  vec2 start = (u_matrix * vec3(a_start, 1.0)).xy * u_viewport * 0.5;
  vec2 end = (u_matrix * vec3(a_end, 1.0)).xy * u_viewport * 0.5;
  vec2 way = end - start;
  float span = max(length(way), 0.001);
  vec2 normal = vec2(-way.y, way.x) / span;
  float half_width = max(max(a_look.x, a_look.y), a_lane.y) * u_scale * 0.5 + 1.0;
  vec2 at = mix(start, end, a_corner.x) + normal * (a_corner.y * half_width + a_lane.x * u_scale);
  gl_Position = vec4(at / (u_viewport * 0.5), 0.0, 1.0);
  v_along = a_corner.x;
  v_across = a_corner.y * half_width;
  v_length = span;
  v_arrow = a_lane.yz * u_scale;
  v_look = vec4(a_look.xy * u_scale, a_look.zw);
  #ifdef PICKING_MODE
  v_sourceColor = a_id;
  v_targetColor = a_id;
  #else
  v_sourceColor = a_sourceColor;
  v_targetColor = a_targetColor;
  #endif
  const float bias = 255.0 / 254.0;
  v_sourceColor.a *= bias;
  v_targetColor.a *= bias;
}
`;

const FRAGMENT = /* glsl */ `
precision highp float;

uniform float u_scale;

varying vec4 v_sourceColor;
varying vec4 v_targetColor;
varying vec4 v_look;
varying vec2 v_arrow;
varying float v_along;
varying float v_across;
varying float v_length;

// Whether the pattern has ink at this place, counted in pixels from the node.
bool has_ink(float dash, float place) {
  if (dash < 0.5) return true;
  if (dash < 1.5) return mod(place, 16.0) < 11.0;
  if (dash < 2.5) return mod(place, 9.0) < 5.0;
  if (dash < 3.5) return mod(place, 6.0) < 2.0;
  if (dash < 4.5) return mod(place, 18.0) < 4.0;
  float turn = mod(place, 20.0);
  return turn < 9.0 || (turn > 13.0 && turn < 16.0);
}

void main(void) {
  bool is_source = v_along < 0.5;
  vec4 color = is_source ? v_sourceColor : v_targetColor;
  #ifdef PICKING_MODE
  gl_FragColor = color;
  #else
  float width = is_source ? v_look.x : v_look.y;
  float dash = is_source ? v_look.z : v_look.w;
  float place = (is_source ? v_along : 1.0 - v_along) * v_length / u_scale;
  float before_end = (1.0 - v_along) * v_length - v_arrow.y;
  if (v_arrow.x > 0.0 && before_end > -1.0 && before_end < v_arrow.x) {
    width = max(width, before_end);
    dash = 0.0;
  }
  float ink = clamp(width * 0.5 + 0.5 - abs(v_across), 0.0, 1.0);
  if (!has_ink(dash, place)) ink = 0.0;
  gl_FragColor = vec4(color.rgb, 1.0) * (ink * color.a);
  #endif
}
`;

const UNIFORMS = ["u_matrix", "u_viewport", "u_scale"] as const;
const { FLOAT, UNSIGNED_BYTE } = WebGLRenderingContext;
const CORNERS = [
  [0, 1],
  [0, -1],
  [1, 1],
  [1, 1],
  [0, -1],
  [1, -1],
];

export class LinkProgram extends EdgeProgram<(typeof UNIFORMS)[number], NodeAttributes, LinkAttributes> {
  getDefinition() {
    return {
      VERTICES: 6,
      VERTEX_SHADER_SOURCE: VERTEX,
      FRAGMENT_SHADER_SOURCE: FRAGMENT,
      METHOD: WebGLRenderingContext.TRIANGLES,
      UNIFORMS,
      ATTRIBUTES: [
        { name: "a_start", size: 2, type: FLOAT },
        { name: "a_end", size: 2, type: FLOAT },
        { name: "a_look", size: 4, type: FLOAT },
        { name: "a_lane", size: 3, type: FLOAT },
        { name: "a_sourceColor", size: 4, type: UNSIGNED_BYTE, normalized: true },
        { name: "a_targetColor", size: 4, type: UNSIGNED_BYTE, normalized: true },
        { name: "a_id", size: 4, type: UNSIGNED_BYTE, normalized: true },
      ],
      CONSTANT_ATTRIBUTES: [{ name: "a_corner", size: 2, type: FLOAT }],
      CONSTANT_DATA: CORNERS,
    };
  }

  processVisibleItem(
    edgeIndex: number,
    startIndex: number,
    source: NodeDisplayData,
    target: NodeDisplayData,
    data: EdgeDisplayData & Partial<LinkAttributes>,
  ): void {
    const { array } = this;
    let at = startIndex;
    array[at++] = source.x;
    array[at++] = source.y;
    array[at++] = target.x;
    array[at++] = target.y;
    array[at++] = data.sourceWidth ?? 2;
    array[at++] = data.targetWidth ?? 2;
    array[at++] = data.sourceDash ?? 0;
    array[at++] = data.targetDash ?? 0;
    array[at++] = data.lane ?? 0;
    array[at++] = data.arrow ?? 0;
    array[at++] = data.inset ?? 0;
    array[at++] = floatColor(data.sourceColor ?? data.color);
    array[at++] = floatColor(data.targetColor ?? data.color);
    array[at++] = edgeIndex;
  }

  setUniforms(
    { matrix, width, height, sizeRatio, pixelRatio }: RenderParams,
    { gl, uniformLocations }: { gl: WebGLRenderingContext; uniformLocations: Record<string, WebGLUniformLocation> },
  ): void {
    gl.uniformMatrix3fv(uniformLocations.u_matrix ?? null, false, matrix);
    gl.uniform2f(uniformLocations.u_viewport ?? null, width * pixelRatio, height * pixelRatio);
    gl.uniform1f(uniformLocations.u_scale ?? null, Math.min(2, Math.max(0.5, 1 / sizeRatio)) * pixelRatio);
  }
}
