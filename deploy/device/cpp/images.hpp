// Images: read from files, and resized to the bit as Pillow's bilinear filter does.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;  // [height, width, 3]
};

// Whether a file's name ends as that of an image.
bool is_image(const std::string& path);

// A file: .ppm (P6, 8 bits), .jpg, .png. Throws std::runtime_error.
Image read_image(const std::string& path);

// The next P6 image of a stream, such as that of `ffmpeg -f image2pipe -vcodec ppm -`; false at its end.
bool read_ppm(std::istream& stream, Image& image);

// Stretched to a size; where an image shrinks the filter averages.
Image resize(const Image& image, int width, int height);
