#include "images.hpp"

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>

#include <jpeglib.h>
#include <png.h>

namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

bool ends_with(std::string text, const std::string& end) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::runtime_error unreadable(const std::string& path, const std::string& reason) {
  return std::runtime_error(path + " can't be read as an image: " + reason);
}

struct JpegError {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

void leave(j_common_ptr info) {  // libjpeg would end the process
  auto* error = reinterpret_cast<JpegError*>(info->err);
  info->err->format_message(info, error->text);
  std::longjmp(error->jump, 1);
}

Image read_jpeg(const std::string& path, std::FILE* file) {
  jpeg_decompress_struct info;
  JpegError error;
  info.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = leave;
  Image image;  // before setjmp: its destructor runs after a longjmp, too
  if (setjmp(error.jump)) {
    jpeg_destroy_decompress(&info);
    throw unreadable(path, error.text);
  }
  jpeg_create_decompress(&info);
  jpeg_stdio_src(&info, file);
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  image.width = static_cast<int>(info.output_width);
  image.height = static_cast<int>(info.output_height);
  image.rgb.resize(std::size_t{3} * image.width * image.height);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = image.rgb.data() + std::size_t{3} * image.width * info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return image;
}

Image read_png(const std::string& path) {
  png_image info{};
  info.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&info, path.c_str())) throw unreadable(path, info.message);
  info.format = PNG_FORMAT_RGB;
  Image image{static_cast<int>(info.width), static_cast<int>(info.height), {}};
  image.rgb.resize(PNG_IMAGE_SIZE(info));
  if (!png_image_finish_read(&info, nullptr, image.rgb.data(), 0, nullptr)) throw unreadable(path, info.message);
  return image;
}

constexpr int kBits = 22;  // of a weight: Pillow's src/libImaging/Resample.c

// One axis, in Pillow's arithmetic. `step` is the distance of neighbours along it, `lines` starts each line.
void resample(const std::uint8_t* from, std::uint8_t* to, int source, int length, std::ptrdiff_t step,
              std::ptrdiff_t to_step, const std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>>& lines) {
  const double scale = static_cast<double>(source) / length, support = std::max(scale, 1.0);
  std::vector<double> exact;
  std::vector<int> weights;
  for (int place = 0; place < length; ++place) {
    const double center = (place + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int last = std::min(static_cast<int>(center + support + 0.5), source);
    double sum = 0;
    exact.clear();
    for (int at = first; at < last; ++at) {
      exact.push_back(std::max(1 - std::abs((at - center + 0.5) / support), 0.0));
      sum += exact.back();
    }
    weights.clear();
    for (double weight : exact) weights.push_back(static_cast<int>(0.5 + weight / sum * (1 << kBits)));
    for (const auto& [read, write] : lines) {
      int total = 1 << (kBits - 1);
      for (int at = first; at < last; ++at) total += from[read + at * step] * weights[at - first];
      to[write + place * to_step] = static_cast<std::uint8_t>(std::clamp(total >> kBits, 0, 255));
    }
  }
}

Image resample_width(const Image& image, int width) {
  Image found{width, image.height, std::vector<std::uint8_t>(std::size_t{3} * width * image.height)};
  std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> lines;
  for (int row = 0; row < image.height; ++row)
    for (int colour = 0; colour < 3; ++colour)
      lines.emplace_back(std::ptrdiff_t{3} * image.width * row + colour, std::ptrdiff_t{3} * width * row + colour);
  resample(image.rgb.data(), found.rgb.data(), image.width, width, 3, 3, lines);
  return found;
}

Image resample_height(const Image& image, int height) {
  const std::ptrdiff_t row = std::ptrdiff_t{3} * image.width;
  Image found{image.width, height, std::vector<std::uint8_t>(row * height)};
  std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> lines;
  for (std::ptrdiff_t column = 0; column < row; ++column) lines.emplace_back(column, column);
  resample(image.rgb.data(), found.rgb.data(), image.height, height, row, row, lines);
  return found;
}

}  // namespace

bool is_image(const std::string& path) {
  return ends_with(path, ".ppm") || ends_with(path, ".png") || ends_with(path, ".jpg") || ends_with(path, ".jpeg");
}

bool read_ppm(std::istream& stream, Image& image) {
  std::string magic;
  int most = 0;
  if (!(stream >> magic)) return false;
  if (magic != "P6" || !(stream >> image.width >> image.height >> most) || most != 255)
    throw std::runtime_error("the stream is no P6 image of 8 bits");
  stream.get();
  image.rgb.resize(std::size_t{3} * image.width * image.height);
  stream.read(reinterpret_cast<char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
  if (!stream) throw std::runtime_error("the P6 image ends early");
  return true;
}

Image read_image(const std::string& path) {
  if (ends_with(path, ".png")) return read_png(path);
  if (ends_with(path, ".ppm")) {
    std::ifstream stream(path, std::ios::binary);
    Image image;
    if (!read_ppm(stream, image)) throw unreadable(path, "it is missing or empty");
    return image;
  }
  const File file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw unreadable(path, "it is missing");
  return read_jpeg(path, file.get());
}

Image resize(const Image& image, int width, int height) {
  const int less_high = image.height - height, less_wide = image.width - width;
  if (less_high > std::max(2 * less_wide, 0)) return resample_width(resample_height(image, height), width);
  return resample_height(resample_width(image, width), height);
}
